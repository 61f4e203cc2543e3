package browser

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/chromedp/chromedp"
)

// Until asks until there is no error, and fails the test if that takes longer
// than a step may. Between two questions the page may change by itself; reload
// says that it is loaded anew each time.
func (p *Page) Until(what string, reload bool, ask func() error) {
	p.tb.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for {
		err := ask()
		if err == nil {
			return
		}
		select {
		case <-deadline:
			p.tb.Fatalf("after %v not yet: %s: %v", patience, what, err)
		case <-tick.C:
		}
		if reload {
			// A page that is just going elsewhere cannot be loaded again; the next
			// question tells.
			_, _ = try(p, chromedp.Reload())
		}
	}
}

// Reads waits until an element's text contains a part, without a reload.
func (p *Page) Reads(selector, part string) {
	p.tb.Helper()
	p.Until(selector+" reads "+part, false, func() error { return p.lacks(selector, part) })
}

// ReadsAnew is Reads for a page that is loaded again until it does. It must be there
// already: to load the one before it again would cut off what was just sent.
func (p *Page) ReadsAnew(selector, part string) {
	p.tb.Helper()
	p.Until(selector+" reads "+part, true, func() error { return p.lacks(selector, part) })
}

// lacks says what an element reads if it does not contain a part. It does not
// wait. Of a page that is still being loaded nothing can be read: its scripts would not
// hear what is typed next.
func (p *Page) lacks(selector, part string) error {
	texts, err := try(p, chromedp.Evaluate[[]string](fmt.Sprintf(
		"document.readyState !== 'complete' ? [] : [...document.querySelectorAll(%q)].map(e => e.innerText)", selector)))
	if all := strings.Join(texts, "\n"); err != nil || !strings.Contains(all, part) {
		return fmt.Errorf("%d elements, which read %q (%w)", len(texts), shortened(all), errors.Join(err, errLacking))
	}
	return nil
}

var errLacking = errors.New("not what is waited for")

// Unfold opens what is folded away.
func (p *Page) Unfold() {
	p.tb.Helper()
	_ = Script[int](p, "document.querySelectorAll('details').forEach(d => d.open = true) || 0")
}

func shortened(text string) string {
	if len(text) > 1000 {
		return text[:1000] + "…"
	}
	return text
}

// Has reports whether there is such an element, now.
func (p *Page) Has(selector string) bool {
	p.tb.Helper()
	return Script[bool](p, exists(selector))
}

// Holds says that there is no such element, if so; Lacks that there is one. Both are
// questions for Until.
func (p *Page) Holds(selector string) error {
	if has, err := try(p, chromedp.Evaluate[bool](exists(selector))); err != nil || !has {
		return fmt.Errorf("no %s: %w", selector, errors.Join(err, errLacking))
	}
	return nil
}

// Lacks is the contrary of Holds.
func (p *Page) Lacks(selector string) error {
	if has, err := try(p, chromedp.Evaluate[bool](exists(selector))); err != nil || has {
		return fmt.Errorf("there is %s: %w", selector, errors.Join(err, errLacking))
	}
	return nil
}

func exists(selector string) string {
	return fmt.Sprintf("document.querySelector(%q) !== null", selector)
}

// try takes a step that may fail.
func try[T any](p *Page, step chromedp.Action[T]) (T, error) {
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	return chromedp.Run(ctx, step)
}

// show logs what the page looked like at the end of a failed test.
func (p *Page) show() {
	text, err := try(p, chromedp.Evaluate[string]("location.href + '\\n' + document.body?.innerText"))
	p.tb.Logf("the page at the end (status %d, %v): %s", p.Status(), err, shortened(text))
}
