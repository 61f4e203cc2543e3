package browser_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/ackbox/ackbox/internal/browser"
	"github.com/ackbox/ackbox/internal/testenv"
)

// hostile is what a customer may call himself, and what an error may say.
const hostile = `</textarea></script></pre><img src=x onerror="document.title='owned'"><script>document.title='owned'</script><h1>owned</h1>`

// What comes from outside is text on every page, whatever it says.
func TestHostileTextIsText(t *testing.T) {
	t.Parallel()
	s := open(t, hostile)
	s.order("hostile", 1)
	s.stranger("0197c2c0-0000-7000-8000-00000000000b", hostile)
	s.eventually("the mail is given up", 1, given)
	// More than a producer can do: what one may have written into the table by hand.
	const everything = `UPDATE ackbox_jobs SET kind = kind || ?, key = ?, queue = queue || ?, exchange = ?, routing_key = ?, payload = convert_to(?, 'UTF8'),
		headers = jsonb_build_object(?::text, ?::text), history = jsonb_set(history, '{0,by}', to_jsonb(?::text)) WHERE kind = 'order.confirm'`
	h := hostile
	if err := testenv.Postgres(t).Exec(everything, h, h, h, h, h, h, h, h, h).Error; err != nil {
		t.Fatal(err)
	}
	id := ""
	if err := testenv.Postgres(t).Raw("SELECT id FROM ackbox_jobs WHERE state = 'dead'").Scan(&id).Error; err != nil || id == "" {
		t.Fatalf("no dead job: %v", err)
	}
	p := s.page("queues")
	p.Choose("Pause…")
	p.Fill("input[name=reason]", hostile)
	p.Click("form[action$=pause] button")
	p.Reads(".told", "Paused.")
	for path, shows := range map[string]bool{
		"": true, "jobs": true, "jobs/" + id: true, "given-up": true, "dead?queue=orders": true, "queues": true,
		"instances": false, "operations": true, "bulk?action=requeue&state=dead": true,
	} {
		p.Open(s.at(path))
		if shows {
			p.Unfold()
			p.ReadsAnew("main", `<script>document.title='owned'</script>`)
		}
		if p.Has("main img, main script, main textarea") || browser.Script[bool](p, `document.title.includes("owned'") === false && document.title === 'owned'`) {
			t.Errorf("%q: markup of a stranger is markup of the page", path)
		}
		if n := browser.Script[int](p, `[...document.querySelectorAll("h1")].filter(h => h.textContent === "owned").length`); n != 0 {
			t.Errorf("%q has a heading of a stranger's", path)
		}
	}
}

// Nobody sees anything until the application says who may.
func TestDeniedWithoutAuthoriser(t *testing.T) {
	t.Parallel()
	s := open(t, "", "OPS_USER=", "OPS_PASSWORD_SHA256=")
	p := chromium.Page(t)
	p.SignIn(operator, password)
	p.Expect("403")
	for _, path := range []string{"", "jobs", "given-up", "queues", "instances", "operations"} {
		p.Open(s.at(path))
		if p.Status() != http.StatusForbidden {
			t.Errorf("%q: status %d", path, p.Status())
		}
		p.Reads("main", "dashboard.Config.Authorize")
	}
	if status, _ := s.request(http.MethodPost, s.at("pause"), "application/x-www-form-urlencoded", "queue=orders"); status != http.StatusForbidden {
		t.Errorf("a POST was answered with %d", status)
	}
}

// Whoever does not know the password is asked for it, and sees nothing.
func TestWrongPassword(t *testing.T) {
	t.Parallel()
	s := open(t, "")
	for _, word := range []string{"", "another password"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.at("jobs"), http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if word != "" {
			req.SetBasicAuth(operator, word)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != http.StatusUnauthorized || !strings.HasPrefix(resp.Header.Get("WWW-Authenticate"), "Basic ") {
			t.Errorf("password %q: %s", word, resp.Status)
		}
		_ = resp.Body.Close()
	}
}

// A page of somebody else, in the browser of an operator who is signed in, can do
// nothing here.
func TestPostOfAnotherOriginIsRefused(t *testing.T) {
	t.Parallel()
	s := open(t, fault)
	s.order("target", 1)
	s.eventually("the mail is given up", 1, given)
	p := s.page("jobs?state=dead")
	id := browser.Script[string](p, `document.querySelector("input[name=id]").value`)
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprintf(w, `<!doctype html><link rel="icon" href="data:,"><form method="post" action="%s"><input name="id" value="%s"><button>A prize</button></form>`, s.at("requeue"), id)
	}))
	defer evil.Close()
	p.Expect("403")
	for _, origin := range []string{evil.URL, strings.Replace(evil.URL, "127.0.0.1", "evil.localhost", 1)} {
		p.Open(origin)
		p.Click("button")
		p.Reads("main", "This came from another site")
		if p.Status() != http.StatusForbidden {
			t.Errorf("from %s: status %d", origin, p.Status())
		}
	}
	if n := s.count(given); n != 1 {
		t.Error("the job was requeued all the same")
	}
	// The same form from a page of ours is taken.
	p.Open(s.at("jobs/" + id))
	p.Choose("Requeue")
	p.Reads(".told", "1 job requeued.")
}
