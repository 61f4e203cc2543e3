package command_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/outbox"
)

type listed struct {
	Jobs []struct {
		ID        string `json:"id"`
		State     string `json:"state"`
		LastError string `json:"last_error"`
		Payload   any    `json:"payload"`
	} `json:"jobs"`
	Next     string `json:"next"`
	Searched int    `json:"searched"`
}

func (l listed) ids() string {
	ids := make([]string, 0, len(l.Jobs))
	for i := range l.Jobs {
		ids = append(ids, l.Jobs[i].ID)
	}
	return strings.Join(ids, " ")
}

func TestJobsList(t *testing.T) {
	t.Parallel()
	sh, db, _ := newShell(t)
	now := time.Now()
	old := insert(t, db, "state, finished_at, last_error", "dead", now.Add(-48*time.Hour), "smtp: Connection refused")
	dead := insert(t, db, "state, finished_at, last_error, key", "dead", now, "timeout", "order:42")
	waiting := insert(t, db, "state, due_at", "pending", now.Add(time.Hour))
	for _, c := range []struct{ args, want string }{
		{"--state dead --after 1d", dead},
		{"--state dead --before 1d", old},
		{"--state dead --error connection", old},
		{"--key order:42", dead},
		{"--state pending", waiting},
		{"--state dead --queue other", ""},
		{"--state dead --kind other", ""},
	} {
		args := append([]string{"jobs", "list", "--json"}, strings.Fields(c.args)...)
		if got := decode[listed](t, sh.must(0, args...)).ids(); got != c.want {
			t.Errorf("jobs list %s: %q, want %q", c.args, got, c.want)
		}
	}
	lacks(t, sh.must(0, "jobs", "list", "--json"), `"payload"`)

	// From where one list ended the next goes on, without a gap or a double.
	seen, from := map[string]bool{}, ""
	for range 10 {
		page := decode[listed](t, sh.must(0, "jobs", "list", "--json", "--limit", "1", "--from", from))
		for i := range page.Jobs {
			if seen[page.Jobs[i].ID] {
				t.Errorf("job %s is listed twice", page.Jobs[i].ID)
			}
			seen[page.Jobs[i].ID] = true
		}
		if from = page.Next; from == "" {
			break
		}
	}
	if len(seen) != 3 {
		t.Errorf("%d jobs are listed", len(seen))
	}
	o := sh.run("jobs", "list", "--state", "cancelled")
	if o.code != 0 || o.out != "" {
		t.Errorf("an empty list: %d, %q", o.code, o.out)
	}
	contains(t, o.err, "no job matches")
}

func TestJobsShowRequeueCancelRunNow(t *testing.T) {
	t.Parallel()
	sh, db, store := newShell(t)
	now := time.Now()
	dead := insert(t, db, "state, finished_at, last_error", "dead", now, "boom\ngoroutine 1 [running]")
	waiting := insert(t, db, "state, due_at", "pending", now.Add(time.Hour))
	text := sh.must(0, "jobs", "show", dead)
	contains(t, text, dead, "report.make", "given up", "boom", "goroutine 1 [running]", "payload      7 bytes")
	lacks(t, text, `"n": 1`)
	contains(t, sh.must(0, "jobs", "show", "--payload", dead), `"n": 1`)
	contains(t, sh.must(0, "jobs", "show", "--payload", "--json", dead), `"n": 1`)
	sh.must(4, "jobs", "show", outbox.NewID())
	sh.must(4, "jobs", "show", "42")

	before := fingerprint(t, db)
	contains(t, sh.must(0, "jobs", "requeue", "--dry-run", dead), dead)
	sh.must(4, "jobs", "requeue", "--dry-run", outbox.NewID())
	if fingerprint(t, db) != before {
		t.Error("a dry run has changed jobs")
	}
	contains(t, sh.must(0, "jobs", "requeue", "--as", "nina", dead, waiting), "requeue: 1 of 2 jobs changed")
	sh.must(4, "jobs", "requeue", dead) // it waits now
	contains(t, sh.must(0, "jobs", "run-now", "--as", "nina", waiting), "run-now: 1 of 1 jobs changed")
	contains(t, sh.must(0, "jobs", "cancel", "--as", "nina", waiting), "cancel: 1 of 1 jobs changed")
	contains(t, sh.must(0, "jobs", "show", waiting), "run now  by nina", "cancelled  by nina")
	contains(t, sh.must(0, "jobs", "show", dead), "requeued  by nina", "pending")
	e, err := store.Get(t.Context(), waiting)
	if err != nil || e.State != ackbox.Cancelled {
		t.Errorf("%v, %v", e.State, err)
	}
	sh.must(0, "jobs", "requeue", waiting) // a cancelled one, too
	contains(t, sh.must(0, "jobs", "cancel", waiting), "1 of 1")
	contains(t, sh.must(0, "jobs", "delete", waiting), "1 of 1")
	sh.must(4, "jobs", "show", waiting)
	contains(t, sh.must(0, "operations", "list"), "nina", "requeue", "cancel", "run now", "delete")
}

func TestQueuesList(t *testing.T) {
	t.Parallel()
	sh, db, store := newShell(t)
	insert(t, db, "state, due_at", "pending", time.Now().Add(-time.Hour))
	insert(t, db, "state, due_at", "pending", time.Now().Add(time.Hour))
	_, err := store.Beat(t.Context(), core.Instance{ID: outbox.NewID(), Role: core.RoleWorker, Host: "here", PID: 7, Queues: []string{"default"}})
	if err != nil {
		t.Fatal(err)
	}
	list := decode[[]struct {
		Queue     string `json:"queue"`
		Consumers int    `json:"consumers"`
	}](t, sh.must(0, "queues", "list", "--json"))
	if len(list) != 1 || list[0].Queue != "default" || list[0].Consumers != 1 {
		t.Errorf("%+v", list)
	}
	text := sh.must(0, "queues", "list")
	contains(t, text, "QUEUE", "default", "1h00m")
	if fields := strings.Fields(strings.Split(text, "\n")[1]); fmt.Sprint(fields) != "[default 1 1h00m 1 0 0 0 0 1]" {
		t.Errorf("%q", fields)
	}
}
