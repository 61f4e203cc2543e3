package dashboard_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/ackbox/ackbox/dashboard"
	"github.com/ackbox/ackbox/outbox"
)

// Each button does what it says, to whom it says, and comes back to its page with a sentence.
func TestActions(t *testing.T) {
	t.Parallel()
	one, two := jobID(3979), jobID(3978)
	for _, c := range []struct {
		path string
		form url.Values
		call string
		told string
	}{
		{"requeue", url.Values{"id": {one, two}}, "requeue " + one + " " + two, "2 jobs requeued."},
		{"run-now", url.Values{"id": {one}}, "run now " + one, "1 job made due now."},
		{"cancel", url.Values{"id": {one}}, "cancel " + one, "1 job cancelled."},
		{"delete", url.Values{"id": {one}}, "delete " + one, "1 job deleted."},
		{"reschedule", url.Values{"id": {one}, "at": {"2030-01-02T03:04"}}, "reschedule 2030-01-02T03:04:00Z " + one, "1 job put to another time."},
		{"pause", url.Values{"queue": {"mail"}, "reason": {" it rains "}}, "pause mail: it rains", "Paused."},
		{"resume", url.Values{"queue": {"mail"}}, "resume mail", "Resumed."},
		{"operations/" + operationID + "/stop", nil, "stop " + operationID, "Stopped."},
		{"operations/" + jobID(8003) + "/continue", nil, "continue " + jobID(8003), "It goes on from where it was."},
	} {
		s := newSite(t, dashboard.Everything)
		form := url.Values{"back": {"jobs?state=dead&q=kind%3Aa&did=cancel&changed=7&of=7"}}
		for name, values := range c.form {
			form[name] = values
		}
		a := s.post(c.path, form)
		s.wantStatus(a, http.StatusSeeOther)
		if !slices.Equal(s.ledger.calls, []string{c.call}) {
			t.Errorf("%s: did %q, want %q", c.path, s.ledger.calls, c.call)
		}
		to := strings.TrimLeft(a.Header.Get("Location"), "./")
		if !strings.HasPrefix(to, "jobs?") || !strings.Contains(to, "state=dead") || !strings.Contains(to, "q=kind%3Aa") {
			t.Errorf("%s: comes back to %q: the search is lost", c.path, to)
		}
		s.wantText(s.get(to), c.told)
		if !strings.Contains(s.log.String(), "by=ada") {
			t.Errorf("%s: the log does not say who: %s", c.path, s.log)
		}
		asProgram := s.post(c.path, form, "Accept", "application/json")
		s.wantStatus(asProgram, http.StatusOK)
		var got struct{ Asked, Changed int }
		if err := json.Unmarshal([]byte(asProgram.body), &got); err != nil || got.Changed == 0 || got.Changed != got.Asked {
			t.Errorf("%s: JSON: %s, %v", c.path, asProgram.body, err)
		}
	}
}

// What was not done is said, too.
func TestLessWasDoneThanAsked(t *testing.T) {
	t.Parallel()
	s := newSite(t, dashboard.Everything)
	s.wantText(s.get("jobs?did=requeue&changed=1&of=3"), "1 of 3 jobs requeued; the others are neither dead nor cancelled any more")
	s.wantText(s.get("jobs?did=requeue&changed=0&of=1"), "Nothing was requeued")
	for _, forged := range []string{"did=%3Cb%3E&changed=1&of=1", "did=requeue&changed=-1&of=1", "did=requeue&changed=x&of=1", "did=requeue&changed=9&of=1"} {
		if a := s.get("jobs?" + forged); strings.Contains(a.body, `class="told`) {
			t.Errorf("%s tells something", forged)
		}
	}
}

func TestBadForms(t *testing.T) {
	t.Parallel()
	s := newSite(t, dashboard.Everything)
	many := make([]string, 1001)
	for i := range many {
		many[i] = jobID(i)
	}
	for want, c := range map[string]struct {
		path string
		form url.Values
	}{
		"No job was chosen":         {"requeue", nil},
		"is no job&#39;s id":        {"cancel", url.Values{"id": {"1 OR 1=1"}}},
		"At most 1000":              {"delete", url.Values{"id": many}},
		"The form is too large":     {"pause", url.Values{"queue": {strings.Repeat("x", 300<<10)}}},
		"want up to 500 bytes":      {"pause", url.Values{"queue": {"mail"}, "reason": {strings.Repeat("x", 501)}}},
		"The form has no queue":     {"resume", nil},
		"When? Write a time":        {"reschedule", url.Values{"id": {jobID(1)}, "at": {"soon"}}},
		"is no work queue here":     {"dead/requeue", url.Values{"queue": {"others"}, "all": {"yes"}}},
		"Which messages?":           {"dead/delete", url.Values{"queue": {"mail"}}},
		"cannot be done to all":     {"bulk", url.Values{"action": {"pause"}, "state": {"dead"}}},
		"That would delete all":     {"bulk", url.Values{"action": {"delete"}}},
		"There is no state":         {"bulk", url.Values{"action": {"delete"}, "state": {"lost"}}},
		"act on its own page":       {"bulk", url.Values{"action": {"requeue"}, "q": {jobID(1)}}},
		"Where is &#34;mail&#34;":   {"bulk", url.Values{"action": {"requeue"}, "q": {"mail"}}},
		"At most 50 messages":       {"dead/delete", url.Values{"queue": {"mail"}, "id": many[:51]}},
		"want up to 500 bytes of t": {"pause", url.Values{"queue": {"mail\x00"}}},
	} {
		a := s.post(c.path, c.form)
		s.wantStatus(a, http.StatusBadRequest)
		s.wantText(a, want)
	}
	if len(s.ledger.calls)+len(s.broker.calls) > 0 {
		t.Errorf("changed: %q %q", s.ledger.calls, s.broker.calls)
	}
}

// A form comes back to a page of ours, whatever it says.
func TestBackLeadsNowhereElse(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{
		"https://evil.example", "//evil.example", "/evil", "../evil", "jobs/../../evil", "\\\\evil", "javascript:alert(1)", "x:y", "http:evil", "a\nb", "%",
	} {
		if got := dashboard.BackTo(bad); got != "" {
			t.Errorf("%q leads to %q", bad, got)
		}
	}
	for good, want := range map[string]string{"": "", "jobs?state=dead": "jobs?state=dead", "jobs/" + jobID(1): "jobs/" + jobID(1), "queues#x": "queues"} {
		if got := dashboard.BackTo(good); got != want {
			t.Errorf("%q leads to %q, want %q", good, got, want)
		}
	}
}

// All that match are counted and shown before anything is done; many are confirmed by their number.
func TestBulk(t *testing.T) {
	t.Parallel()
	s := newSite(t, dashboard.Everything)
	dry := s.get("bulk?action=requeue&state=dead&q=kind:mail.send")
	s.wantStatus(dry, http.StatusOK)
	s.wantText(dry, "Requeue 32 jobs", "every dead job of the kind “mail.send”", "Nothing is changed yet", `name="expected" value="32"`, "order:4199")
	if len(s.ledger.calls) > 0 {
		t.Fatalf("the dry run did %q", s.ledger.calls)
	}
	form := url.Values{"action": {"requeue"}, "state": {"dead"}, "q": {"kind:mail.send"}, "expected": {"32"}, "reason": {"mail is back"}}
	a := s.post("bulk", form)
	s.wantStatus(a, http.StatusSeeOther)
	if got := a.Header.Get("Location"); got != "./operations/"+operationID {
		t.Errorf("leads to %q", got)
	}
	if len(s.ledger.calls) != 1 || !strings.HasPrefix(s.ledger.calls[0], "start requeue {State:dead Running:false Queue: Kind:mail.send") || !strings.HasSuffix(s.ledger.calls[0], ": mail is back") {
		t.Fatalf("did %q", s.ledger.calls)
	}
	s.wantStatus(s.post("bulk", form, "Accept", "application/json"), http.StatusAccepted)

	for name, c := range map[string]struct {
		now                        outbox.Count
		expected, confirm, refused string
	}{
		"grown":           {outbox.Count{N: 99}, "32", "", "There were 32 when you looked"},
		"not typed":       {outbox.Count{N: 1001}, "1001", "", "type how many"},
		"typed otherwise": {outbox.Count{N: 5000}, "5000", "500", "type how many"},
		"typed":           {outbox.Count{N: 5000}, "5000", "5,000", ""},
		"very many":       {outbox.Count{N: 10000, More: true}, "10000", "10,000+", ""},
		"a program":       {outbox.Count{N: 20}, "", "", ""},
		"a program, many": {outbox.Count{N: 2000}, "", "", "type how many"},
	} {
		s := newSite(t, dashboard.Everything)
		s.ledger.rehearsed = c.now
		form.Set("expected", c.expected)
		form.Set("confirm", c.confirm)
		a := s.post("bulk", form)
		if c.refused == "" {
			s.wantStatus(a, http.StatusSeeOther)
			continue
		}
		s.wantStatus(a, http.StatusConflict)
		s.wantText(a, c.refused, `value="mail is back"`)
		if len(s.ledger.calls) > 0 {
			t.Errorf("%s: did %q", name, s.ledger.calls)
		}
	}

	everything := newSite(t, dashboard.Everything)
	s.wantStatus(everything.get("bulk?action=delete"), http.StatusBadRequest)
	s.wantStatus(everything.get("bulk?action=delete&all=yes"), http.StatusOK)
	s.wantStatus(everything.post("bulk", url.Values{"action": {"delete"}, "all": {"yes"}, "expected": {"200"}}), http.StatusSeeOther)
	if len(everything.ledger.calls) != 1 || !strings.Contains(everything.ledger.calls[0], "All:true") {
		t.Errorf("did %q", everything.ledger.calls)
	}
	reader := newSite(t, dashboard.Read)
	s.wantText(reader.get("bulk?action=delete&state=dead"), "You may not delete")
}

func TestDeadMessages(t *testing.T) {
	t.Parallel()
	s := newSite(t, dashboard.Everything)
	s.wantText(s.get("given-up"), "mail.dead", "1 message")
	s.wantText(s.get("dead?queue=mail"), "legacy-77", "Encoded: it is no text", "00000000  00 01 ff", "expired in")
	s.wantStatus(s.get("dead?queue=others"), http.StatusBadRequest)
	for _, c := range []struct {
		path, call, told string
		form             url.Values
	}{
		{"dead/requeue", "requeue mail legacy-77 false", "1 message moved back", url.Values{"queue": {"mail"}, "id": {"legacy-77"}}},
		{"dead/requeue", "requeue mail  true", "1 message moved back", url.Values{"queue": {"mail"}, "all": {"yes"}}},
		{"dead/delete", "delete mail legacy-77 false", "1 message deleted", url.Values{"queue": {"mail"}, "id": {"legacy-77"}}},
	} {
		s.broker.calls = nil
		c.form.Set("back", "dead?queue=mail")
		a := s.post(c.path, c.form)
		s.wantStatus(a, http.StatusSeeOther)
		if !slices.Equal(s.broker.calls, []string{c.call}) {
			t.Errorf("%s: did %q, want %q", c.path, s.broker.calls, c.call)
		}
		s.wantText(s.get(strings.TrimLeft(a.Header.Get("Location"), "./")), c.told)
	}
}
