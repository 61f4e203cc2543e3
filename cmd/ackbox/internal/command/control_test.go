package command_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/ackbox/ackbox/cmd/ackbox/internal/command"
	"github.com/ackbox/ackbox/outbox"
)

type operation struct {
	ID      string `json:"id"`
	Action  string `json:"action"`
	State   string `json:"state"`
	By      string `json:"by"`
	Reason  string `json:"reason"`
	Changed int    `json:"changed"`
}

type operations struct {
	Operations []operation `json:"operations"`
}

func count(t *testing.T, db *gorm.DB, where string) (n int) {
	t.Helper()
	if err := db.Raw("SELECT count(*) FROM ackbox_jobs WHERE " + where).Scan(&n).Error; err != nil {
		t.Fatal(err)
	}
	return n
}

// All that match a filter: counted first, then done, recorded, and no others.
func TestBulk(t *testing.T) {
	t.Parallel()
	sh, db, _ := newShell(t)
	const dead = 1200 // more than two steps
	exec(t, db, `INSERT INTO ackbox_jobs (id, kind, queue, exchange, routing_key, mandatory, payload, max_attempts, state, finished_at, last_error)
		SELECT gen_random_uuid(), CASE WHEN n <= ? THEN 'mail.send' ELSE 'other' END, 'default', '', 'default', true, '{}', 9, 'dead', now(), 'timeout of ' || n
		FROM generate_series(1, ?) AS n`, dead, dead+5)
	before := fingerprint(t, db)
	contains(t, sh.must(0, "jobs", "requeue", "--kind", "mail.send", "--dry-run"), fmt.Sprintf("%d jobs match; nothing was changed", dead))
	rehearsed := decode[struct {
		Matched int  `json:"matched"`
		More    bool `json:"more"`
		Samples []struct{ Kind string }
	}](t, sh.must(0, "jobs", "requeue", "--kind", "mail.send", "--dry-run", "--json"))
	if rehearsed.Matched != dead || rehearsed.More || len(rehearsed.Samples) == 0 {
		t.Errorf("%+v", rehearsed)
	}
	contains(t, sh.run("jobs", "requeue", "--kind", "mail.send").err, fmt.Sprintf("requeue %d jobs: state dead, kind mail.send?", dead))
	sh.must(2, "jobs", "requeue", "--kind", "mail.send") // nobody is there to be asked
	sh.terminal, sh.in = true, "n\n"
	sh.must(2, "jobs", "requeue", "--kind", "mail.send")
	sh.must(4, "jobs", "requeue", "--kind", "no.such")
	if fingerprint(t, db) != before {
		t.Fatal("jobs were changed though nobody has confirmed it")
	}
	sh.in = "y\n"
	o := sh.run("jobs", "requeue", "--kind", "mail.send", "--as", "nina", "--reason", "the mail server is back", "--json")
	if o.code != 0 {
		t.Fatalf("%+v", o)
	}
	ops := decode[operations](t, o.out).Operations
	if len(ops) != 1 || ops[0].State != "done" || ops[0].Changed != dead || ops[0].By != "nina" || ops[0].Reason != "the mail server is back" {
		t.Errorf("%+v", ops)
	}
	if n := count(t, db, "state = 'pending' AND kind = 'mail.send'"); n != dead {
		t.Errorf("%d jobs are requeued", n)
	}
	if n := count(t, db, "state = 'dead' AND kind = 'other'"); n != 5 {
		t.Errorf("%d of the others are still dead", n)
	}
	sh.terminal = false
	exec(t, db, "UPDATE ackbox_jobs SET due_at = now() + interval '1 hour' WHERE state = 'pending'")
	for _, c := range []struct{ action, where string }{
		{"run-now", "state = 'pending' AND kind = 'mail.send' AND due_at <= now()"},
		{"cancel", "state = 'cancelled' AND kind = 'mail.send'"},
	} {
		sh.must(0, "jobs", c.action, "--kind", "mail.send", "--state", "pending", "--yes")
		if n := count(t, db, c.where); n != dead {
			t.Errorf("%s: %d jobs", c.action, n)
		}
	}
	sh.must(0, "jobs", "delete", "--all", "--yes")
	if n := count(t, db, "true"); n != 0 {
		t.Errorf("%d jobs are left", n)
	}
}

// Who stops looking does not stop an operation: it goes on with the next sweep, from where it
// was, and says so.
func TestBulkInterrupted(t *testing.T) {
	t.Parallel()
	sh, db, store := newShell(t)
	const dead = 2100
	exec(t, db, `INSERT INTO ackbox_jobs (id, kind, queue, exchange, routing_key, mandatory, payload, max_attempts, state, finished_at)
		SELECT gen_random_uuid(), 'k', 'default', '', 'default', true, '{}', 9, 'dead', now() FROM generate_series(1, ?)`, dead)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	told := &trigger{word: "looked at", pull: cancel}
	var stdout bytes.Buffer
	code := command.Run(ctx, command.Env{Out: &stdout, Err: told, Getenv: func(name string) string { return sh.env[name] }},
		[]string{"jobs", "requeue", "--kind", "k", "--yes"})
	if code != 130 {
		t.Errorf("exit code %d: %s", code, told.String())
	}
	contains(t, told.String(), "goes on without us")
	if n := count(t, db, "state = 'dead'"); n == 0 || n == dead {
		t.Errorf("%d jobs are dead: it was not interrupted", n)
	}
	for more := true; more; {
		var err error
		if _, more, err = store.CarryOn(t.Context(), 500); err != nil {
			t.Fatal(err)
		}
	}
	ops := decode[operations](t, sh.must(0, "operations", "list", "--json")).Operations
	if len(ops) != 1 || ops[0].State != "done" || ops[0].Changed != dead {
		t.Errorf("%+v", ops)
	}
}

// trigger is a writer that pulls once a word was written.
type trigger struct {
	bytes.Buffer
	word string
	pull func()
}

func (w *trigger) Write(p []byte) (int, error) {
	n, err := w.Buffer.Write(p)
	if strings.Contains(w.String(), w.word) {
		w.pull()
	}
	return n, err
}

// An operation that nobody waits for is carried on by sweeps; it can be seen and stopped.
func TestOperationsShowAndStop(t *testing.T) {
	t.Parallel()
	sh, db, store := newShell(t)
	for range 3 {
		insert(t, db, "state, finished_at, last_error", "dead", time.Now(), "timeout")
	}
	ops := decode[operations](t, sh.must(0, "jobs", "requeue", "--error", "timeout", "--yes", "--detach", "--json")).Operations
	if len(ops) != 1 || ops[0].State != "running" {
		t.Fatalf("%+v", ops)
	}
	contains(t, sh.must(0, "operations", "show", ops[0].ID), "running", "0 of 3", "error timeout")
	contains(t, sh.must(0, "operations", "stop", ops[0].ID, "--as", "nina"), "stopped")
	if _, _, err := store.CarryOn(t.Context(), 500); err != nil {
		t.Fatal(err)
	}
	if n := count(t, db, "state = 'dead'"); n != 3 {
		t.Errorf("%d jobs are dead: what was stopped went on", n)
	}
	sh.must(4, "operations", "show", outbox.NewID())
	contains(t, sh.must(0, "operations", "list"), ops[0].ID, "stopped")
}

func TestPauseAndResume(t *testing.T) {
	t.Parallel()
	sh, db, store := newShell(t)
	if err := store.Enqueue(t.Context(), db, report{1}, outbox.OwnTransaction()); err != nil {
		t.Fatal(err)
	}
	relay(t, store, brokerOf(t), 1)
	contains(t, sh.must(0, "queues", "pause", "default", "--as", "nina", "--reason", "mail is down"), "default: paused")
	contains(t, sh.must(0, "queues", "list"), "paused by nina", "mail is down")
	contains(t, sh.must(0, "operations", "list"), "nina", "pause", "queue default", "mail is down")
	status, err := store.QueueStatus(t.Context())
	if err != nil || len(status) != 1 || status[0].Paused == nil || status[0].Paused.By != "nina" {
		t.Errorf("%+v, %v", status, err)
	}
	// What stands still by somebody's will is no damage.
	exec(t, db, "UPDATE ackbox_jobs SET sent_at = now() - interval '1 hour', seen_at = now() - interval '1 hour'")
	list := decode[[]found](t, sh.run("doctor", "--json").out)
	find(t, list, "note", "queue default is paused by nina")
	find(t, list, "ok", "default: 1 messages wait")
	contains(t, sh.must(0, "queues", "resume", "default"), "default: resumed")
	list = decode[[]found](t, sh.run("doctor", "--json").out)
	find(t, list, "bad", "1 messages wait, and nobody consumes it")
	find(t, list, "bad", "queue default: 1 job sent over a minute ago")
	lacks(t, sh.must(0, "queues", "list"), "paused")
}

func TestStatsAndTop(t *testing.T) {
	t.Parallel()
	sh, db, store := newShell(t)
	contains(t, sh.run("stats").err, "nothing happened")
	exec(t, db, `INSERT INTO ackbox_jobs_stats (span, at, queue, kind, enqueued, sent, done, failed, run)
		SELECT span, date_trunc(CASE span WHEN 60 THEN 'minute' ELSE 'hour' END, now()) - m * interval '1 minute', 'default', kind, 10, 9, 8, 7, '{0,0,0,5}'
		FROM unnest(ARRAY[60, 3600]) AS span, generate_series(0, 60, 60) AS m, unnest(ARRAY['a', 'b']) AS kind WHERE span = 3600 OR m = 0`)
	type stat struct {
		Kind                         string
		Enqueued, Sent, Done, Failed int
		RunP50                       float64 `json:"run_p50_seconds"`
	}
	all := decode[[]stat](t, sh.must(0, "stats", "--json"))
	if len(all) != 1 || all[0].Enqueued != 20 || all[0].Sent != 18 || all[0].Done != 16 || all[0].Failed != 14 || all[0].RunP50 <= 0 {
		t.Errorf("%+v", all)
	}
	kinds := decode[[]stat](t, sh.must(0, "stats", "--json", "--by-kind", "--last", "7d"))
	if len(kinds) != 2 || kinds[0].Enqueued != 20 || kinds[0].Kind == kinds[1].Kind {
		t.Errorf("%+v", kinds)
	}
	if hours := decode[[]stat](t, sh.must(0, "stats", "--json", "--step", "hour", "--last", "3h")); len(hours) < 2 {
		t.Errorf("%+v", hours)
	}
	contains(t, sh.must(0, "stats", "--by-kind", "--kind", "a"), "ENQUEUED", "a")

	beat(t, store, "worker")
	insert(t, db, "state, due_at", "pending", time.Now().Add(-time.Hour))
	text := sh.must(0, "top", "--rounds", "2", "--interval", "500ms")
	contains(t, text, "default  1", "1h00m", "last 5 minutes", "worker", "here")
	lacks(t, text, "\x1b")
	if n := strings.Count(text, "last 5 minutes"); n != 2 {
		t.Errorf("%d looks", n)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	sh.terminal = true
	if o := sh.runIn(ctx, "top"); o.code != 0 || !strings.Contains(o.out, "\x1b[2J") {
		t.Errorf("interrupted: %+v", o)
	}
}
