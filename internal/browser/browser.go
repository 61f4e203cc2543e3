package browser

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/ackbox/ackbox/internal/testenv/browser"
)

// starting bounds the start of a browser on a busy machine.
const starting = time.Minute

// Browser is a running Chromium without a window. Stop it.
type Browser struct {
	ctx context.Context //nolint:containedctx // chromedp keeps a browser in its context
}

// Start starts a Chromium with an empty profile.
func Start() (*Browser, error) {
	path, err := browser.Find()
	if err != nil {
		return nil, err
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path),
		// Nothing of the outside: what a page needs is on its own server.
		chromedp.Flag("proxy-server", "direct://"),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE *.localhost"),
		chromedp.Flag("force-device-scale-factor", "1"),
		chromedp.Flag("lang", "en"),
	)
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // Chromium refuses root otherwise
	}
	allocated, endProcess := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, endTabs := chromedp.NewContext(allocated)
	stop := func() {
		endTabs()
		endProcess()
	}
	// The browser lives as long as the context of its first run, which can have no
	// deadline for that reason.
	late := time.AfterFunc(starting, stop)
	err = chromedp.Do(ctx)
	if !late.Stop() || err != nil {
		stop()
		return nil, fmt.Errorf("start %s within %v: %w", path, starting, errors.Join(err, ctx.Err()))
	}
	return &Browser{ctx: ctx}, nil
}

// Stop ends the browser and waits for its end.
func (b *Browser) Stop() error {
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Cancel(ctx); err != nil {
		return fmt.Errorf("stop the browser: %w", err)
	}
	return nil
}

// Page opens an empty tab with cookies of its own, a desktop's window and light
// colours. It is closed when the test ends.
func (b *Browser) Page(tb testing.TB) *Page {
	tb.Helper()
	p := &Page{tb: tb}
	ctx, closeTab := chromedp.NewContext(b.ctx, chromedp.WithNewBrowserContext(), chromedp.WithListener(p.hear))
	p.ctx = ctx
	tb.Cleanup(func() {
		if tb.Failed() {
			p.show()
		}
		closeTab()
		for _, complaint := range p.complaints.all() {
			tb.Errorf("the browser's console says: %s", complaint)
		}
	})
	// The tab, too, lives as long as the context of its first run.
	if err := chromedp.Do(ctx, order(network.Enable, network.EnableParams{})); err != nil {
		tb.Fatalf("open a tab: %v", err)
	}
	p.Look(Desktop, Light)
	return p
}
