package dashboard_test

import (
	"context"
	"encoding/json"
	"errors"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/dashboard"
	"github.com/ackbox/ackbox/outbox"
)

var (
	tags  = regexp.MustCompile(`<[a-zA-Z][^>]*>`)
	links = regexp.MustCompile(`(?:href|src|action|formaction)="([^"]*)"`)
	// inline is what the page's own policy would not let run or apply.
	inline = regexp.MustCompile(`(?i)\son[a-z]+=|\sstyle=|^<style|\shx-`)
)

// Every answer has headers that let a browser do nothing but what the page needs, and no page
// needs more.
func TestNothingIsInlineAndNothingForeign(t *testing.T) {
	t.Parallel()
	s := newSite(t, dashboard.Everything)
	for _, path := range pagesOf() {
		a := s.get(path)
		csp := a.Header.Get("Content-Security-Policy")
		if !strings.HasPrefix(csp, "default-src 'none'; ") || strings.Contains(csp, "unsafe") || !strings.Contains(csp, "frame-ancestors 'none'") {
			t.Errorf("%s: Content-Security-Policy is %q", path, csp)
		}
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin", "Cache-Control": "no-store", "Vary": "Accept",
		} {
			if got := a.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", path, name, got, want)
			}
		}
		for _, tag := range tags.FindAllString(a.body, -1) {
			// Not what stands in a title, say: that is in quotes.
			if inline.MatchString(regexp.MustCompile(`"[^"]*"`).ReplaceAllString(tag, `""`)) || strings.Contains(tag, "javascript:") || strings.HasPrefix(tag, "<script") && !strings.Contains(tag, " src=") {
				t.Errorf("%s: inline: %s", path, tag)
			}
		}
		for _, link := range links.FindAllStringSubmatch(a.body, -1) {
			if !strings.HasPrefix(link[1], "./") && !strings.HasPrefix(link[1], "#") {
				t.Errorf("%s: a link that leads away: %s", path, link[1])
			}
		}
	}
}

// What producers have chosen is text, on every page and in JSON.
func TestHostileTextIsText(t *testing.T) {
	t.Parallel()
	s := newSite(t, dashboard.Everything)
	shown := 0
	for _, path := range pagesOf() {
		a := s.get(path)
		for _, bad := range []string{"<script>alert", "<img src=x", "\u202e", "\x1b"} {
			if strings.Contains(a.body, bad) {
				t.Errorf("%s: %q is in the page", path, bad)
			}
		}
		shown += strings.Count(html.UnescapeString(a.body), `<script>alert(1)</script>`)
		if b := s.json(path).body; strings.Contains(b, "<script>") {
			t.Errorf("%s: JSON is not safe to be taken for a page: %.300s", path, b)
		}
	}
	if shown < 10 {
		t.Errorf("the hostile text was shown %d times: this test has seen too few pages with it", shown)
	}
}

// Following every link from the first page on leads nowhere that is not there, or outside.
func TestEveryLinkLeadsSomewhere(t *testing.T) {
	t.Parallel()
	s := newSite(t, dashboard.Everything)
	seen, todo := map[string]bool{}, []string{prefix}
	for len(todo) > 0 {
		at := todo[0]
		todo = todo[1:]
		a := s.do(httptest.NewRequest(http.MethodGet, at, nil))
		if a.StatusCode != http.StatusOK && !strings.Contains(at, jobID(3000)) { // the job of an old operation is gone
			t.Errorf("%s: %s", at, a.Status)
		}
		base, err := url.Parse("http://example.com" + at)
		if err != nil {
			t.Fatal(err)
		}
		for _, link := range regexp.MustCompile(`(?:href|src)="([^"]*)"`).FindAllStringSubmatch(a.body, -1) {
			to, err := base.Parse(html.UnescapeString(link[1]))
			if err != nil {
				t.Fatalf("%s: %s: %v", at, link[1], err)
			}
			to.Fragment = ""
			if next := to.RequestURI(); !seen[next] {
				if !strings.HasPrefix(next, prefix) {
					t.Errorf("%s: leads out of %s: %s", at, prefix, next)
					continue
				}
				seen[next] = true
				todo = append(todo, next)
			}
		}
	}
	if len(seen) < 150 {
		t.Errorf("only %d links were found", len(seen))
	}
}

// Each page answers in JSON to who asks for that, and to browsers in HTML.
func TestJSON(t *testing.T) {
	t.Parallel()
	s := newSite(t, dashboard.Everything)
	for _, path := range pagesOf() {
		a, page := s.json(path), s.get(path, "Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
		if a.StatusCode != page.StatusCode {
			t.Errorf("%s: JSON says %d, the page %d", path, a.StatusCode, page.StatusCode)
		}
		if got := a.Header.Get("Content-Type"); got != "application/json; charset=utf-8" {
			t.Errorf("%s: Content-Type is %q", path, got)
		}
		var got map[string]any
		if err := json.Unmarshal([]byte(a.body), &got); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		for name := range got {
			if name != strings.ToLower(name) {
				t.Errorf("%s: the member %q is in Go's words", path, name)
			}
		}
		if got := page.Header.Get("Content-Type"); got != "text/html; charset=utf-8" {
			t.Errorf("%s: a browser gets %q", path, got)
		}
	}
	var job struct {
		ID, State, Kind string
		Payload         struct{ Form, Text string }
		Timeline        []struct{ What, By string }
	}
	if err := json.Unmarshal([]byte(s.json("jobs/"+jobID(3979)).body), &job); err != nil {
		t.Fatal(err)
	}
	if job.State != "dead" || job.Payload.Form != "JSON" || !strings.Contains(job.Payload.Text, "12345678901234567890") || len(job.Timeline) < 6 {
		t.Errorf("job: %+v", job)
	}
}

// The first page says what needs attention, the worst first, and what to do.
func TestNowSaysWhatToDo(t *testing.T) {
	t.Parallel()
	s := newSite(t, dashboard.Read)
	s.broker.health = ackbox.Health{Part: "rabbitmq", Live: true, Why: "no route to 10.0.0.5"}
	var page struct {
		Attention []struct{ Level, Title, Text, Todo string }
		Queues    []struct{ Queue string }
		Charts    []struct {
			Title  string
			Series []struct{ Values []float64 }
		}
	}
	if err := json.Unmarshal([]byte(s.json("").body), &page); err != nil {
		t.Fatal(err)
	}
	titles := ""
	for _, a := range page.Attention {
		titles += a.Level + ": " + a.Title + "\n"
		if a.Todo == "" {
			t.Errorf("%s: nothing to do", a.Title)
		}
	}
	for _, want := range []string{
		"bad: The broker is away", "bad: mail is late", "bad: Nobody consumes mail", "bad: The broker refuses jobs of search",
		"jobs of mail.send given up in the last hour", "bad: 1 handler does not return", "warn: Worker on shop-7d9f-fghij (pid 1) is silent",
		"warn: Trouble at the dispatcher", "info: search is paused",
	} {
		if !strings.Contains(titles, want) {
			t.Errorf("does not say %q:\n%s", want, titles)
		}
	}
	if !strings.HasPrefix(titles, "bad: The broker is away") {
		t.Errorf("the broker is not first:\n%s", titles)
	}
	if strings.Contains(titles, "search is late") {
		t.Errorf("a paused queue is called late:\n%s", titles)
	}
	if page.Queues[0].Queue != "mail" || len(page.Charts) != 3 || len(page.Charts[0].Series[0].Values) != 60 {
		t.Errorf("queues %v, %d charts", page.Queues, len(page.Charts))
	}
	quiet := newSite(t, dashboard.Read)
	*quiet.ledger = fake{}
	s.wantText(quiet.get(""), "Nothing needs you")
	s.wantText(quiet.get("given-up"), "Nothing was given up")
	s.wantText(quiet.get("jobs"), "No job matches")
	s.wantText(quiet.get("operations"), "Nobody has done anything yet")
}

// What cannot be read is said; the first page shows the rest all the same.
func TestTheLedgerCannotBeRead(t *testing.T) {
	t.Parallel()
	s := newSite(t, dashboard.Everything)
	for _, fails := range []error{errors.New("no such server"), outbox.ErrNotMigrated, context.DeadlineExceeded} {
		s.ledger.fails = fails
		a := s.get("")
		s.wantStatus(a, http.StatusOK)
		s.wantText(a, "The queues could not be read", "The instances could not be read", "What happened in the past could not be read")
		if strings.Contains(a.body, "Nothing needs you") {
			t.Error("all is said to be well, though nothing is known")
		}
		for _, path := range []string{"given-up", "queues", "instances", "operations", "jobs/" + jobID(3979)} {
			a := s.get(path)
			s.wantStatus(a, http.StatusServiceUnavailable)
		}
	}
	s.ledger.fails = context.DeadlineExceeded
	s.wantText(s.get("given-up"), "Narrow the search by queue, kind or key")
	s.ledger.fails = outbox.ErrNotMigrated
	s.wantText(s.get("given-up"), "migrate")
	if !strings.Contains(s.log.String(), "no such server") {
		t.Errorf("the log says nothing: %s", s.log)
	}
}

// A broker that is away takes no page with it.
func TestTheBrokerIsAway(t *testing.T) {
	t.Parallel()
	s := newSite(t, dashboard.Everything)
	s.broker.health = ackbox.Health{Part: "rabbitmq", Why: "connection refused"}
	for _, path := range []string{"", "given-up", "queues"} {
		a := s.get(path)
		s.wantStatus(a, http.StatusOK)
		s.wantText(a, "connection refused")
	}
	without := newSite(t, dashboard.Everything, func(c *dashboard.Config) { c.Broker = nil })
	s.wantStatus(without.get("queues"), http.StatusOK)
	s.wantStatus(without.get("dead?queue=mail"), http.StatusBadRequest)
	s.wantStatus(without.post("dead/delete", url.Values{"queue": {"mail"}, "all": {"yes"}}), http.StatusBadRequest)
}

// What the application masks is on no page.
func TestMask(t *testing.T) {
	t.Parallel()
	const secret = "c0ffee-4242"
	masked := 0
	s := newSite(t, dashboard.Everything, func(c *dashboard.Config) {
		c.Mask = func(e outbox.Entry) outbox.Entry {
			masked++
			e.ID, e.State, e.Payload, e.Key, e.LastError, e.History = "another", ackbox.Done, []byte(`{"masked":true}`), "", "", nil
			e.Kind, e.Headers = "kind", nil
			return e
		}
	})
	for i := range s.ledger.jobs {
		e := &s.ledger.jobs[i]
		e.Key, e.Payload, e.LastError, e.Headers = secret, []byte(secret), secret+e.LastError, map[string]string{"x": secret}
		for j := range e.History {
			e.History[j].Error = secret
		}
	}
	for i := range s.ledger.instances {
		for j := range s.ledger.instances[i].Running {
			s.ledger.instances[i].Running[j].Key = secret
		}
	}
	s.broker.dead[0].Payload, s.broker.dead[0].Error = []byte(secret), secret
	for _, path := range []string{"", "jobs", "jobs/" + jobID(3979), "given-up", "dead?queue=mail", "instances", "bulk?action=requeue&state=dead"} {
		for _, a := range []answer{s.get(path), s.json(path)} {
			s.wantStatus(a, http.StatusOK)
			if strings.Contains(a.body, secret) {
				t.Errorf("%s shows what is masked: %s", path, a.body)
			}
		}
	}
	s.wantText(s.get("jobs/"+jobID(3979)), `name="id" value="`+jobID(3979)+`"`, "masked")
	if masked < 100 {
		t.Errorf("Mask was called %d times", masked)
	}
}

func TestAssets(t *testing.T) {
	t.Parallel()
	s := newSite(t, 0)
	body := s.get("").body // refused, and still in its dress
	total := 0
	for _, link := range regexp.MustCompile(`assets/[a-z]+\.[0-9a-f]{10}\.[a-z]+`).FindAllString(body, -1) {
		a := s.get(link)
		s.wantStatus(a, http.StatusOK)
		total += len(a.body)
		if !strings.Contains(a.Header.Get("Cache-Control"), "immutable") || a.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: headers %v", link, a.Header)
		}
		if strings.Contains(a.body, "eval(") || strings.Contains(a.body, "innerHTML") || strings.Contains(a.body, "http://") && !strings.Contains(link, "icon") || strings.Contains(a.body, "https://") {
			t.Errorf("%s: evaluates text, or names another site", link)
		}
	}
	if total < 10_000 || total > 60_000 {
		t.Errorf("the assets have %d bytes: want up to 60,000", total)
	}
	for _, link := range []string{"assets/app.css", "assets/app.0000000000.css", "assets/../guard.go", "assets/"} {
		if a := s.get(link); a.StatusCode == http.StatusOK {
			t.Errorf("%s: %s", link, a.Status)
		}
	}
}

// The page works under any path, with or without its slash, and answers HEAD.
func TestPaths(t *testing.T) {
	t.Parallel()
	s := newSite(t, dashboard.Read)
	board, err := dashboard.New(s.ledger, dashboard.Config{Authorize: func(*http.Request) (dashboard.Viewer, error) { return s.viewer, nil }})
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range []http.Handler{board, http.StripPrefix("/a/b/", board), http.StripPrefix("/a/b", board)} {
		s.h = h
		for _, path := range []string{"", "jobs", "jobs/" + jobID(3979)} {
			at := "/a/b/" + path
			if h == http.Handler(board) {
				at = "/" + path
			}
			s.wantStatus(s.do(httptest.NewRequest(http.MethodGet, at, nil)), http.StatusOK)
			s.wantStatus(s.do(httptest.NewRequest(http.MethodHead, at, nil)), http.StatusOK)
		}
	}
	for _, path := range []string{"/jobs/", "//jobs", "/jobs/../queues", "/./jobs", "/jobs//x"} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.URL.Path = path
		s.h = board
		s.wantStatus(s.do(r), http.StatusNotFound)
	}
}

func TestTheme(t *testing.T) {
	t.Parallel()
	s := newSite(t, dashboard.Read)
	a := s.post("theme", url.Values{"theme": {"dark"}, "back": {"jobs?state=dead"}})
	s.wantStatus(a, http.StatusSeeOther)
	if got := a.Header.Get("Location"); got != "./jobs?state=dead" {
		t.Errorf("Location is %q", got)
	}
	cookie := a.Header.Get("Set-Cookie")
	if !strings.HasPrefix(cookie, "ackbox-theme=dark;") || !strings.Contains(cookie, "HttpOnly") || !strings.Contains(cookie, "SameSite=Lax") {
		t.Errorf("Set-Cookie is %q", cookie)
	}
	s.wantText(s.get("jobs", "Cookie", "ackbox-theme=dark"), `data-theme="dark"`)
	s.wantText(s.get("jobs", "Cookie", `ackbox-theme=x"><b>`), `data-theme="auto"`)
	if a := s.post("theme", url.Values{"theme": {"\"><b>"}}); !strings.Contains(a.Header.Get("Set-Cookie"), "Max-Age=0") {
		t.Errorf("an unknown theme is kept: %q", a.Header.Get("Set-Cookie"))
	}
}
