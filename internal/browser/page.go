package browser

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// patience bounds each step: what a person would wait for, on a busy machine.
const patience = 20 * time.Second

// Page is a tab. Its methods are for the test's goroutine, wait for what they
// need, and fail the test if it does not come. Selectors are CSS.
type Page struct {
	tb         testing.TB
	ctx        context.Context //nolint:containedctx // chromedp keeps a tab in its context
	status     atomic.Int64    // of the last document
	complaints complaints
}

// hear is told what happens in the tab, by chromedp's goroutine.
func (p *Page) hear(event any) {
	switch e := event.(type) {
	case *network.EventResponseReceived:
		if e.Type == network.ResourceTypeDocument {
			p.status.Store(e.Response.Status)
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
			p.complaints.add(fmt.Sprintf("%s (%s)", e.Entry.Text, e.Entry.URL))
		}
	case *runtime.EventExceptionThrown:
		p.complaints.add(fmt.Sprintf("%s (%s)", e.ExceptionDetails.Text, e.ExceptionDetails.URL))
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
			var said []string
			for _, arg := range e.Args {
				said = append(said, string(arg.Value)+arg.Description)
			}
			p.complaints.add(strings.Join(said, " "))
		}
	}
}

// Expect says that the console will have a line with this part, rightly.
func (p *Page) Expect(part string) { p.complaints.expect(part) }

// order is a command to the tab, with nothing to answer but an error.
func order[P, R any](command cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, command, params)
		return err
	})
}

// run takes steps, all of them within patience.
func (p *Page) run(what string, steps ...chromedp.Action[chromedp.Void]) {
	p.tb.Helper()
	ask(p, what, chromedp.Steps(steps...))
}

// ask is run for a step that gives a value.
func ask[T any](p *Page, what string, step chromedp.Action[T]) T {
	p.tb.Helper()
	value, err := try(p, step)
	if err != nil {
		p.tb.Fatalf("%s: %v", what, err)
	}
	return value
}

// Open goes to a page, whatever its status, and waits until it is there.
func (p *Page) Open(url string) {
	p.tb.Helper()
	p.status.Store(0)
	p.run("open "+url, chromedp.Navigate(url))
}

// SignIn has all further requests carry a name and a password.
func (p *Page) SignIn(name, password string) {
	p.tb.Helper()
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+password))
	p.run("sign in", order(network.SetExtraHTTPHeaders, network.SetExtraHTTPHeadersParams{Headers: network.Headers{"Authorization": basic}}))
}

// Reload asks for the same page again.
func (p *Page) Reload() {
	p.tb.Helper()
	p.run("reload", chromedp.Reload())
}

// Status is the status of the last page's answer.
func (p *Page) Status() int { return int(p.status.Load()) }

// URL is the page's address.
func (p *Page) URL() string {
	p.tb.Helper()
	return ask(p, "read the address", chromedp.Location())
}

// Text returns what is to be read in the first element.
func (p *Page) Text(selector string) string {
	p.tb.Helper()
	return ask(p, "read "+selector, chromedp.Text(chromedp.CSS(selector)))
}

// Click clicks the first element, once it is to be seen.
func (p *Page) Click(selector string) {
	p.tb.Helper()
	p.run("click "+selector, chromedp.Click(chromedp.CSS(selector), chromedp.NodeVisible))
}

// Choose clicks the first link, button or fold of the main part whose text contains
// words, once it is there.
func (p *Page) Choose(words string) {
	p.tb.Helper()
	path := fmt.Sprintf("//main//*[self::a or self::button or self::summary or self::label][contains(normalize-space(.), %q)]", words)
	p.run("choose "+words, chromedp.Click(chromedp.Search(path), chromedp.NodeVisible))
}

// Fill empties a field and types into it.
func (p *Page) Fill(selector, text string) {
	p.tb.Helper()
	p.run("fill "+selector, chromedp.Clear(chromedp.CSS(selector)), chromedp.SendKeys(chromedp.CSS(selector), text))
}

// Script returns what a JavaScript expression is. One that throws fails the test.
func Script[T any](p *Page, expression string) T {
	p.tb.Helper()
	return ask(p, "evaluate "+expression, chromedp.Evaluate[T](expression))
}
