package dashboard_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/dashboard"
)

// prefix is where the tests serve the page.
const prefix = "/ops/jobs/"

// site is a dashboard under a prefix, and who looks at it.
type site struct {
	t      *testing.T
	ledger *fake
	broker *fakeBroker
	viewer dashboard.Viewer
	h      http.Handler
	log    *strings.Builder
}

func newSite(t *testing.T, can dashboard.Permission, changes ...func(*dashboard.Config)) *site {
	t.Helper()
	s := &site{t: t, ledger: badDay(time.Now()), viewer: dashboard.Viewer{Name: "ada", Can: can}, log: &strings.Builder{}}
	s.broker = &fakeBroker{health: ackbox.Health{Part: "rabbitmq", Live: true, Ready: true}, dead: []ackbox.DeadMessage{
		{Job: ackbox.Job{ID: "legacy-77", Kind: hostile, Queue: "mail", Payload: []byte{0, 1, 255}, Headers: map[string]string{hostile: hostile}}, Error: hostile, Deaths: []ackbox.Death{{Queue: hostile, Reason: "expired", Count: 2}}},
	}}
	cfg := dashboard.Config{
		Authorize: func(*http.Request) (dashboard.Viewer, error) { return s.viewer, nil },
		Broker:    s.broker, Name: "shop", Logger: slog.New(slog.NewTextHandler(s.log, nil)),
	}
	for _, change := range changes {
		change(&cfg)
	}
	board, err := dashboard.New(s.ledger, cfg)
	if err != nil {
		t.Fatal(err)
	}
	s.h = http.StripPrefix(strings.TrimSuffix(prefix, "/"), board)
	return s
}

// answer is what a request got.
type answer struct {
	*http.Response
	body string
}

func (s *site) do(r *http.Request) answer {
	s.t.Helper()
	w := httptest.NewRecorder()
	s.h.ServeHTTP(w, r)
	body, err := io.ReadAll(w.Result().Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer{w.Result(), string(body)}
}

func (s *site) get(path string, header ...string) answer {
	s.t.Helper()
	r := httptest.NewRequest(http.MethodGet, prefix+path, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return s.do(r)
}

// json asks as a program does.
func (s *site) json(path string) answer {
	s.t.Helper()
	return s.get(path, "Accept", "application/json")
}

func (s *site) post(path string, form url.Values, header ...string) answer {
	s.t.Helper()
	r := httptest.NewRequest(http.MethodPost, prefix+path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return s.do(r)
}

func (s *site) wantStatus(a answer, want int) {
	s.t.Helper()
	if a.StatusCode != want {
		s.t.Fatalf("status %d, want %d: %.600s", a.StatusCode, want, a.body)
	}
}

func (s *site) wantText(a answer, texts ...string) {
	s.t.Helper()
	for _, text := range texts {
		if !strings.Contains(a.body, text) {
			s.t.Errorf("the page does not say %q:\n%.3000s", text, a.body)
		}
	}
}

// pagesOf are all pages of the bad day.
func pagesOf() []string {
	return []string{
		"", "?range=24h", "?range=7d", "jobs", "jobs?state=dead", "jobs?state=running&q=queue:default", "jobs?q=nonsense", "jobs/" + jobID(3971),
		"jobs/" + jobID(3979), "jobs/" + jobID(4000), "given-up", "given-up?q=error:grey", "given-up?q=nonsense", "dead?queue=mail", "queues",
		"instances", "operations", "operations/" + operationID, "operations/" + jobID(8001), "operations/" + jobID(8002), "operations/" + jobID(8003),
		"bulk?action=requeue&state=dead", "bulk?action=delete&q=kind:nothing", "nowhere", "jobs/no-such-job",
	}
}

// writesOf are all writes, with the permission that each needs.
func writesOf() []struct {
	path  string
	needs dashboard.Permission
	form  url.Values
} {
	id := url.Values{"id": {jobID(3979)}, "back": {"jobs?state=dead"}, "at": {"2030-01-02T03:04"}}
	queue := url.Values{"queue": {"mail"}, "reason": {"because"}, "back": {"queues"}}
	message := url.Values{"queue": {"mail"}, "id": {"legacy-77"}}
	bulk := func(action string) url.Values {
		return url.Values{"action": {action}, "state": {"dead"}, "q": {"kind:mail.send"}, "expected": {"32"}}
	}
	return []struct {
		path  string
		needs dashboard.Permission
		form  url.Values
	}{
		{"requeue", dashboard.Requeue, id},
		{"run-now", dashboard.Requeue, id},
		{"reschedule", dashboard.Requeue, id},
		{"cancel", dashboard.Cancel, id},
		{"delete", dashboard.Delete, id},
		{"pause", dashboard.Pause, queue},
		{"resume", dashboard.Pause, queue},
		{"bulk", dashboard.Requeue, bulk("requeue")},
		{"bulk", dashboard.Requeue, bulk("run now")},
		{"bulk", dashboard.Cancel, bulk("cancel")},
		{"bulk", dashboard.Delete, bulk("delete")},
		{"operations/" + operationID + "/stop", dashboard.Requeue, nil},
		{"operations/" + jobID(8003) + "/stop", dashboard.Delete, nil},
		{"operations/" + jobID(8003) + "/continue", dashboard.Delete, nil},
		{"dead/requeue", dashboard.Requeue, message},
		{"dead/delete", dashboard.Delete, message},
	}
}
