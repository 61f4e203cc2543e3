package browser_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/ackbox/ackbox/internal/browser"
)

const (
	fault = "the mail server does not answer"
	given = "SELECT count(*) FROM ackbox_jobs WHERE kind = 'order.confirm' AND state = 'dead'"
	done  = "SELECT count(*) FROM ackbox_jobs WHERE kind = 'order.confirm' AND state = 'done'"
)

// At night: mails are not sent. Somebody finds the group under Given up, reads the
// error, mends the cause, requeues one job, then the group, and sees them done; the
// record says who did it.
func TestOperatorRequeuesOneThenTheGroup(t *testing.T) {
	t.Parallel()
	s := open(t, fault)
	s.order("night", 5)
	p := s.page("given-up")
	p.ReadsAnew(".group-n", "5")
	p.Reads(".group", "order.confirm")
	p.Reads(".group .err", fault)
	p.Open(s.at(""))
	p.Reads(".needs", fault)

	p.Open(s.at("given-up"))
	p.Choose("the latest one")
	p.Reads("main", "It was given up.")
	p.Reads(".timeline", fault)
	p.Reads(".timeline", "given up")
	p.Reads("main", `"order_id"`)
	one := strings.TrimPrefix(p.URL(), s.at("jobs/"))
	s.mend()
	p.Choose("Requeue")
	p.Reads(".told", "1 job requeued.")
	p.ReadsAnew(".id-line", "done")
	p.Reads(".timeline", operator)

	p.Open(s.at("given-up"))
	p.Choose("Requeue all 4…")
	p.Reads("h1", "Requeue 4 jobs")
	p.Fill("input[name=reason]", "the mail server is back")
	p.Click("form.begin button")
	p.Reads(".id-line", "by "+operator)
	p.ReadsAnew(".id-line", "done")
	p.Reads("main", "the mail server is back")
	s.eventually("all mails are sent", 5, done)
	p.Open(s.at("given-up"))
	p.Reads("main", "Nothing was given up")
	p.Open(s.at("jobs?state=done&q=kind:order.confirm"))
	p.Reads("nav.tabs [aria-current]", "5")
	p.Open(s.at("operations"))
	for _, words := range []string{"requeue", operator, "the mail server is back"} {
		p.Reads("table.ops", words)
	}
	if n := s.count("SELECT count(*) FROM ackbox_jobs WHERE id = ?::uuid AND state = 'done' AND history::text LIKE '%' || ? || '%'", one, operator); n != 1 {
		t.Errorf("the history of job %s does not say who requeued it", one)
	}
}

// Without scripts every page works as well.
func TestOperatorWithoutScripts(t *testing.T) {
	t.Parallel()
	s := open(t, fault)
	s.order("plain", 2)
	s.eventually("the mails are given up", 2, given)
	s.mend()
	p := chromium.Page(t)
	p.SignIn(operator, password)
	p.WithoutScripts()
	p.Open(s.at("jobs"))
	p.Fill("input[name=q]", `error:"does not answer"`)
	p.Click(".search button")
	p.Reads(".pager", "whose error contains")
	p.Click("table.rows tbody tr:nth-child(1) input[name=id]")
	p.Click(".bulkbar button[formaction$=requeue]")
	p.Reads(".told", "1 job requeued.")
	p.Open(s.at("given-up"))
	p.Choose("Requeue it…")
	p.Reads("h1", "Requeue 1 job")
	p.Click("form.begin button")
	p.Reads(".id-line", "by "+operator)
	p.ReadsAnew(".id-line", "done")
	s.eventually("both mails are sent", 2, done)
}

// From the search to the job and its button by keys alone.
func TestOperatorWithKeysAlone(t *testing.T) {
	t.Parallel()
	s := open(t, fault)
	s.order("keys", 2)
	s.eventually("the mails are given up", 2, given)
	s.mend()
	p := s.page("")
	p.Press("g", "d")
	p.Reads("h1", "Given up")
	p.Press("j", browser.Enter) // the first group
	p.Reads("table.rows", fault)
	p.Press("g", "j")
	p.Reads(".pager", "every job")
	p.Press("/")
	p.Type("kind:order.confirm")
	p.Press(browser.Enter)
	p.Reads(".pager", "of the kind")
	p.Press("j", "j", browser.Enter) // the second row
	p.Reads("main", "It was given up.")
	p.TabTo("Requeue")
	p.Press(browser.Enter)
	p.Reads(".told", "1 job requeued.")
	p.ReadsAnew(".id-line", "done")
	s.eventually("one mail is sent", 1, done)

	p.Press("g", "j")
	p.Reads(".pager", "every job")
	p.Press("?")
	p.Reads("dialog[open]", "next and previous row")
	p.Press(browser.Escape)
	p.Until("the keys are gone", false, func() error { return p.Lacks("dialog[open]") })
	p.Press("j", "x")
	p.Until("a row is ticked", false, func() error { return p.Holds("input[name=id]:checked") })
}

// A search that nobody understands stays in its box, beside what is wrong with it.
func TestOperatorSearchesForWhatNobodyUnderstands(t *testing.T) {
	t.Parallel()
	s := open(t, "")
	p := s.page("jobs")
	p.Expect("400")
	p.Fill("input[name=q]", `order:42 error:"`)
	p.Press(browser.Enter)
	p.Reads("[role=alert]", "A quote is not closed")
	if box := browser.Script[string](p, "document.querySelector('input[name=q]').value"); box != `order:42 error:"` {
		t.Errorf("the box has %q now", box)
	}
	if !p.Has("#live[hidden]") {
		t.Error("the page asks again and again")
	}
}

// A queue that is paused on its page stands still everywhere, until it is resumed.
func TestOperatorPausesAQueue(t *testing.T) {
	t.Parallel()
	s := open(t, "")
	s.order("before", 1)
	s.eventually("a mail is sent", 1, done)
	p := s.page("queues")
	p.Choose("Pause…")
	p.Fill("input[name=reason]", "the mail server is being moved")
	p.Click("form[action$=pause] button")
	p.Reads(".told", "Paused.")
	p.Reads(".qcard", "Paused by "+operator)
	p.Reads(".qcard", "the mail server is being moved")
	p.Until("the worker has heard of it", false, func() error {
		if !strings.Contains(s.worker.Log(), "a queue is paused") {
			return errors.New("it does not say so")
		}
		return nil
	})
	s.order("during", 3)
	p.ReadsAnew(".qcard .nums div:first-child", "3")
	if n := s.count(done); n != 1 {
		t.Errorf("%d mails were sent while the queue was paused", n-1)
	}
	p.Choose("Resume")
	p.Reads(".told", "Resumed.")
	s.eventually("what has waited is done", 4, done)
}

// What the pages show the operator, programs read as JSON at the same addresses.
func TestPagesAnswerJSON(t *testing.T) {
	t.Parallel()
	s := open(t, "")
	for _, path := range []string{"", "jobs", "given-up", "dead?queue=orders", "queues", "instances", "operations"} {
		if status, text := s.request(http.MethodGet, s.at(path), "", ""); status != http.StatusOK || !strings.HasPrefix(text, "{") {
			t.Errorf("%q: status %d, %.80s", path, status, text)
		}
	}
	if status, text := s.request(http.MethodGet, s.at("jobs/0197c2c0-0000-7000-8000-000000000000"), "", ""); status != http.StatusNotFound || !strings.Contains(text, "error") {
		t.Errorf("a job that is not there: %d, %s", status, text)
	}
}
