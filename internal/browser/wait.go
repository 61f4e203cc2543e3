package browser

import (
	"context"
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
			p.Reload()
		}
	}
}

// Reads waits until an element's text contains a part, without a reload.
func (p *Page) Reads(selector, part string) {
	p.tb.Helper()
	p.Until(selector+" reads "+part, false, func() error { return p.lacks(selector, part) })
}

// ReadsAnew is Reads for a page that is loaded again until it does.
func (p *Page) ReadsAnew(selector, part string) {
	p.tb.Helper()
	p.Until(selector+" reads "+part, true, func() error { return p.lacks(selector, part) })
}

// lacks says what an element reads if it does not contain a part. It does not
// wait.
func (p *Page) lacks(selector, part string) error {
	p.tb.Helper()
	texts := Script[[]string](p, fmt.Sprintf("[...document.querySelectorAll(%q)].map(e => e.innerText)", selector))
	if all := strings.Join(texts, "\n"); !strings.Contains(all, part) {
		return fmt.Errorf("%d elements, which read %q", len(texts), shortened(all))
	}
	return nil
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
	return Script[bool](p, fmt.Sprintf("document.querySelector(%q) !== null", selector))
}

// show logs what the page looked like at the end of a failed test.
func (p *Page) show() {
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string]("location.href + '\\n' + document.body?.innerText"))
	p.tb.Logf("the page at the end (status %d, %v): %s", p.Status(), err, shortened(text))
}
