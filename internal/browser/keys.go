package browser

import (
	"context"
	"fmt"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// Enter, Tab and Escape are keys for Press.
const (
	Enter  = kb.Enter
	Tab    = kb.Tab
	Escape = kb.Escape
)

// Press presses keys, each of them in turn, wherever the focus is.
func (p *Page) Press(keys ...string) {
	p.tb.Helper()
	for _, key := range keys {
		p.Type(key)
	}
}

// Type types a text, key by key, wherever the focus is.
func (p *Page) Type(text string) {
	p.tb.Helper()
	p.run(fmt.Sprintf("type %q", text), chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		for _, r := range text {
			for _, event := range kb.Encode(r) {
				// As a keyboard does it: a page that takes a key for itself keeps its
				// letter out of the field.
				if event.Type == input.DispatchKeyEventTypeKeyDown {
					event.Type = input.DispatchKeyEventTypeRawKeyDown
				}
				if _, err := cdp.Call(ctx, t, input.DispatchKeyEvent, *event); err != nil {
					return err
				}
			}
		}
		return nil
	}))
}

// TabTo presses Tab until the focus is on what reads as words.
func (p *Page) TabTo(words string) {
	p.tb.Helper()
	for range 100 {
		p.Press(Tab)
		if Script[string](p, "(document.activeElement.innerText || '').trim()") == words {
			return
		}
	}
	p.tb.Fatalf("Tab does not lead to %s", words)
}
