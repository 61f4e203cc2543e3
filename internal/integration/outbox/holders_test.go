package outbox_test

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/outbox"
)

// beating announces a worker and returns its id.
func beating(t *testing.T, s *outbox.Store) string {
	t.Helper()
	id := outbox.NewID()
	if _, err := s.Beat(t.Context(), core.Instance{ID: id, Role: core.RoleWorker, Queues: s.Queues()}); err != nil {
		t.Fatal(err)
	}
	return id
}

// A delivery that is faster than its dispatcher's commit is started, though it cannot be
// counted; it goes on record when the row is free. A sent row that is locked is somebody
// else's for a moment.
func TestStartBesideTheWire(t *testing.T) {
	t.Parallel()
	db, s := store(t, outbox.Config{})
	enqueue(t, db, 1)
	me := beating(t, s)
	var job ackbox.Job
	start := func(want core.Standing) {
		t.Helper()
		if got, err := s.Start(t.Context(), me, []ackbox.Job{job}); err != nil || got[0] != want {
			t.Errorf("started %v, %v, want %v", got, err, want)
		}
	}
	hold := func(want core.Verdict) {
		t.Helper()
		if got, err := s.Hold(t.Context(), me, []core.Holding{{ID: job.ID, Attempt: 1, Running: time.Second}}); err != nil || got[0] != want {
			t.Errorf("held %v, %v, want %v", got, err, want)
		}
	}
	_, err := s.Relay(t.Context(), core.Claim{Limit: 1}, func(_ context.Context, jobs []ackbox.Job) []core.Transition {
		job = jobs[0]
		start(core.Standing{Verdict: core.Started})
		hold(core.Busy)
		return allSent(jobs)
	})
	if err != nil {
		t.Fatal(err)
	}
	locked(t, db, job, func(*gorm.DB) {
		start(core.Standing{Verdict: core.Busy})
		hold(core.Busy)
	})
	hold(core.Recorded)
	start(core.Standing{Verdict: core.Started, Starts: 1})
}

// Of two workers that start the same copy at the same moment one does, though its row
// looks as if a dispatcher had it.
func TestStartBesideAnotherStart(t *testing.T) {
	t.Parallel()
	db, s := store(t, outbox.Config{})
	enqueue(t, db, 1)
	var job ackbox.Job
	_, err := s.Relay(t.Context(), core.Claim{Limit: 1}, func(_ context.Context, jobs []ackbox.Job) []core.Transition {
		job = jobs[0]
		return []core.Transition{{}} // the confirm is lost: it stays pending
	})
	if err != nil {
		t.Fatal(err)
	}
	one, other := beating(t, s), beating(t, s)
	// A trigger makes the first of them slow.
	run(t, db, `CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM pg_advisory_xact_lock(7); RETURN NEW; END$$`,
		`CREATE TRIGGER slow BEFORE UPDATE ON ackbox_jobs FOR EACH ROW EXECUTE FUNCTION slow()`)
	gate := db.Begin()
	defer gate.Rollback()
	run(t, gate, "SELECT pg_advisory_xact_lock(7)")
	started := make(chan core.Standing, 1)
	go func() {
		got, err := s.Start(t.Context(), one, []ackbox.Job{job})
		if err != nil {
			t.Error(err)
			got = []core.Standing{{}}
		}
		started <- got[0]
	}()
	untilTrue(t.Context(), t, db, `SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory'`)
	got, err := s.Start(t.Context(), other, []ackbox.Job{job})
	if err != nil || got[0].Verdict != core.Busy {
		t.Errorf("beside another start: %v, %v, want busy", got, err)
	}
	run(t, gate, "COMMIT")
	if got := <-started; got != (core.Standing{Verdict: core.Started, Starts: 1}) {
		t.Errorf("the first: %v", got)
	}
	if got, err = s.Start(t.Context(), other, []ackbox.Job{job}); err != nil || got[0].Verdict != core.Held {
		t.Errorf("after it: %v, %v, want held", got, err)
	}
}

// Handlers that have emptied the pool do not make their process look dead, and a
// connection that broke is replaced.
func TestBeatsBesideAnEmptyPool(t *testing.T) {
	t.Parallel()
	db, s := store(t, outbox.Config{})
	pool, err := db.DB()
	if err != nil {
		t.Fatal(err)
	}
	const most = 3
	pool.SetMaxOpenConns(most)
	me := core.Instance{ID: beating(t, s), Role: core.RoleWorker}
	other := core.Instance{ID: beating(t, s), Role: core.RoleSweeper}
	busy := make([]*sql.Conn, most-1)
	for i := range busy {
		if busy[i], err = pool.Conn(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer busy[i].Close()
	}
	beat := func(what string, works bool) {
		t.Helper()
		began := time.Now()
		_, err := s.Beat(t.Context(), me)
		if took := time.Since(began); (err == nil) != works || took > core.BeatInterval+2*time.Second {
			t.Errorf("%s: beat %v after %v", what, err, took)
		}
	}
	beat("an empty pool", true)
	// The server ends its session: the next beat needs another one.
	if _, err := busy[0].ExecContext(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE datname = current_database() AND query LIKE 'INSERT INTO%instances%'`); err != nil {
		t.Fatal(err)
	}
	beat("a broken connection", true)
	if err := s.Leave(contextWithin(t, time.Second), me.ID); err == nil {
		t.Error("it has left without a connection")
	}
	if err := busy[0].Close(); err != nil {
		t.Fatal(err)
	}
	for _, i := range []core.Instance{me, other} {
		if err := s.Leave(t.Context(), i.ID); err != nil {
			t.Error(err)
		}
	}
	if n := pool.Stats().InUse; n != most-2 {
		t.Errorf("%d connections are in use after all have left, want %d", n, most-2)
	}
	// With one connection there is none to keep.
	pool.SetMaxOpenConns(1)
	if err := busy[1].Close(); err != nil {
		t.Fatal(err)
	}
	beat("one connection", true)
	if n := pool.Stats().InUse; n != 0 {
		t.Errorf("%d connections are in use", n)
	}
}

func contextWithin(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// What workers and sweeps ask about holders reads an index of its own or rows by id,
// whatever the table holds: hundreds of thousands of sent jobs, of which thousands are in
// the hands of many.
func TestHolderPlans(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]outbox.Config{"plain": {}, "partitioned": {Partitioned: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			holderPlans(t, cfg)
		})
	}
}

func holderPlans(t *testing.T, cfg outbox.Config) {
	t.Helper()
	db, s, r := recorded(t, cfg)
	const jobs = 200_000
	jobsIn(t, db, "default", "sent", jobs, 3600)
	jobsIn(t, db, "mail", "done", jobs/4, 3600)
	jobsIn(t, db, "default", "pending", jobs/4, 3600)
	jobsIn(t, db, "default", "refused", 2000, 3600)
	run(t, db, `INSERT INTO ackbox_jobs_instances (id, role, host, pid, queues, since)
			SELECT gen_random_uuid(), 'worker', 'h', 1, '["default"]', now() - interval '1 hour' FROM generate_series(1, 40)`,
		`UPDATE ackbox_jobs AS j SET holder = i.id, starts = 1, started_at = now()
			FROM (SELECT id, row_number() OVER () AS n FROM ackbox_jobs WHERE state IN ('sent', 'done') LIMIT 40000) AS k
			JOIN (SELECT id, row_number() OVER () AS n FROM ackbox_jobs_instances) AS i ON k.n % 40 + 1 = i.n
			WHERE j.id = k.id`,
		"VACUUM ANALYZE ackbox_jobs", "VACUUM ANALYZE ackbox_jobs_instances")
	var ids []string
	if err := db.Raw("SELECT id FROM ackbox_jobs WHERE state = 'sent' LIMIT 100").Scan(&ids).Error; err != nil {
		t.Fatal(err)
	}
	started, held := make([]ackbox.Job, len(ids)), make([]core.Holding, len(ids))
	for i, id := range ids {
		// Another try: nothing is to change before the plans are asked for.
		started[i], held[i] = ackbox.Job{ID: id, Attempt: 9}, core.Holding{ID: id, Attempt: 9}
	}
	var dead string
	if err := db.Raw("SELECT min(id::text) FROM ackbox_jobs_instances").Scan(&dead).Error; err != nil {
		t.Fatal(err)
	}
	me := beating(t, s)
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	const pkey = "pkey"
	for _, tt := range []struct {
		name    string
		call    func()
		indexes []string // of each statement on jobs
		pages   int      // of each partition, at most
	}{
		{"start", func() { must(s.Start(t.Context(), me, started)) }, []string{pkey, pkey}, 2000},
		{"hold", func() { must(s.Hold(t.Context(), me, held)) }, []string{pkey, pkey}, 2000},
		{"reconcile", func() { must(nil, s.Reconcile(t.Context(), me, ids)) }, []string{"held"}, 100},
		{"refused", func() { must(s.Refused(t.Context(), me, []string{"default", "mail"}, 10)) }, []string{"refused"}, 500},
		{"take back nothing", func() { must(s.TakeBack(t.Context(), 100)) }, []string{"held"}, 1000},
		{"take back", func() {
			run(t, db, "UPDATE ackbox_jobs_instances SET seen_at = now() - interval '1 minute' WHERE id = '"+dead+"'")
			must(s.TakeBack(t.Context(), 100))
		}, []string{"held"}, 5000},
		{"unattended", func() { must(s.Unattended(t.Context())) }, []string{"pending", "sent", "pending"}, 10_000},
		{"leave", func() { must(nil, s.Leave(t.Context(), me)) }, []string{"held"}, 500},
	} {
		var queries []seenQuery
		for _, q := range r.during(tt.call) {
			if strings.Contains(q.SQL, `"ackbox_jobs"`) && !strings.HasPrefix(q.SQL, "UPDATE ackbox_jobs_instances") {
				queries = append(queries, q)
			}
		}
		if len(queries) != len(tt.indexes) {
			t.Errorf("%s ran %d statements, want %d", tt.name, len(queries), len(tt.indexes))
			continue
		}
		for i, q := range queries {
			for mode, plan := range explain(t, db, q) {
				bad := strings.Contains(plan, "Seq Scan on ackbox_jobs ") || strings.Contains(plan, "Seq Scan on ackbox_jobs_default ")
				if bad || !strings.Contains(plan, tt.indexes[i]) && !strings.Contains(plan, "default_"+partitionIndex[tt.indexes[i]]) {
					t.Errorf("%s, %s: want %s and no scan of the table\n%s\n%.6000s", tt.name, mode, tt.indexes[i], q.SQL, plan)
				}
			}
			plan := strings.Join(analyze(t, db, q), "\n")
			if n := pages(plan); n > tt.pages {
				t.Errorf("%s touches %d pages, want %d at most:\n%.6000s", tt.name, n, tt.pages, plan)
			}
		}
	}
	t.Log(fmt.Sprint(jobs, " jobs"))
}

// partitionIndex is how PostgreSQL names a partition's part of an index.
var partitionIndex = map[string]string{"held": "holder_idx", "refused": "queue_due_at_id_idx", "pending": "queue_due_at_id_idx", "sent": "queue_seen_at_idx", "pkey": "pkey"}
