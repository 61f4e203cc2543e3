package browser_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ackbox/ackbox/internal/browser"
)

// What the other tests believe of a page is what the server has answered.
func TestPage(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/denied" {
			w.WriteHeader(http.StatusForbidden)
		}
		w.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprintf(w, `<!doctype html><link rel="icon" href="data:,"><meta name="viewport" content="width=device-width">
<h1>%s</h1><form><input name="q" autofocus><button>go</button></form><p>%s</p>`, r.URL.Path, r.URL.Query().Get("q"))
	}))
	defer srv.Close()
	p := chromium.Page(t)
	p.Open(srv.URL + "/first")
	if p.Status() != http.StatusOK || p.Text("h1") != "/first" || p.Wider() != 0 {
		t.Errorf("status %d, heading %q, wider by %d", p.Status(), p.Text("h1"), p.Wider())
	}
	p.Fill("input", "a word")
	p.Click("button")
	p.Reads("p", "a word")
	if p.Has("h2") || !p.Has("h1") || !strings.HasSuffix(p.URL(), "?q=a+word") {
		t.Errorf("elements or address are wrong: %s", p.URL())
	}
	p.Press("x", browser.Enter) // autofocus
	p.ReadsAnew("p", "x")
	p.Look(browser.Phone, browser.Dark)
	if dark := browser.Script[bool](p, "matchMedia('(prefers-color-scheme: dark)').matches && innerWidth === 390"); !dark {
		t.Error("it is not a dark phone")
	}
	p.Shoot(filepath.Join(t.TempDir(), "x", "shot.png"))
	p.Expect("403")
	p.Open(srv.URL + "/denied")
	if p.Status() != http.StatusForbidden {
		t.Errorf("status %d", p.Status())
	}
}
