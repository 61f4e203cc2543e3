package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"gorm.io/driver/postgres"
	"gorm.io/gorm"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/internal/testenv"
	"github.com/ackbox/ackbox/outbox"
)

type work struct{ N int }

// Kind implements ackbox.Args.
func (work) Kind() string { return "test.work" }

// store returns a migrated Store on a database of the test's own.
func store(t *testing.T, cfg outbox.Config) (*gorm.DB, *outbox.Store) {
	t.Helper()
	db := testenv.Postgres(t)
	s, err := outbox.NewStore(db, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return db, s
}

func enqueue(t *testing.T, db *gorm.DB, n int) {
	t.Helper()
	items := make([]outbox.Item, n)
	for i := range items {
		items[i] = outbox.Item{Args: work{i}}
	}
	err := db.Transaction(func(tx *gorm.DB) error { return outbox.EnqueueAll(t.Context(), tx, items...) })
	if err != nil {
		t.Fatal(err)
	}
}

func allSentIn(_ context.Context, jobs []ackbox.Job) []core.Transition { return allSent(jobs) }

func allSent(jobs []ackbox.Job) []core.Transition {
	transitions := make([]core.Transition, len(jobs))
	for i, job := range jobs {
		transitions[i] = core.Transition{ID: job.ID, Attempt: job.Attempt, To: ackbox.Sent}
	}
	return transitions
}

// Instances that start together migrate once, from processes' own connections.
func TestMigrateTogether(t *testing.T) {
	dsn := testenv.DatabaseURL(t)
	var wg sync.WaitGroup
	for range 8 {
		db := open(t, postgres.Open(dsn), 10, gorm.Config{})
		s, err := outbox.NewStore(db, outbox.Config{Schema: "app"})
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			if err := s.Migrate(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// A team that runs the printed SQL itself needs no right to create tables at
// run time.
func TestMigrationByHand(t *testing.T) {
	db := testenv.Postgres(t)
	s, err := outbox.NewStore(db, outbox.Config{})
	if err != nil {
		t.Fatal(err)
	}
	role := fmt.Sprintf("app_%d", time.Now().UnixNano())
	for _, sql := range []string{
		s.MigrationSQL(),
		"CREATE ROLE " + role,
		"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO " + role,
	} {
		if err := db.Exec(sql).Error; err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { db.Exec("DROP OWNED BY " + role); db.Exec("DROP ROLE " + role) })
	restricted := open(t, postgres.Open(testenv.DatabaseURL(t)+"&options=-c%20role%3D"+role), 10, gorm.Config{})
	s, err = outbox.NewStore(restricted, outbox.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Migrate(t.Context()); err != nil {
		t.Errorf("a role that may not create tables: %v", err)
	}
	enqueue(t, restricted, 1)
}

// Batches of concurrent dispatchers never overlap, and none waits for another.
func TestConcurrentRelays(t *testing.T) {
	db, s := store(t, outbox.Config{})
	enqueue(t, db, 1000)
	var mu sync.Mutex
	seen := make(map[string]int)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for {
				n, err := s.Relay(t.Context(), core.Claim{Limit: 50}, func(_ context.Context, jobs []ackbox.Job) []core.Transition {
					mu.Lock()
					defer mu.Unlock()
					for _, job := range jobs {
						seen[job.ID]++
					}
					return allSent(jobs)
				})
				if err != nil {
					t.Error(err)
					return
				}
				if n == 0 {
					return
				}
			}
		})
	}
	wg.Wait()
	if len(seen) != 1000 {
		t.Errorf("%d jobs were published, want 1000", len(seen))
	}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("job %s was in %d batches", id, n)
		}
	}
}

// While a batch is on the wire its rows are locked: another relay passes them
// over, Finish comes back busy at once, and Complete waits under its deadline.
func TestOnTheWire(t *testing.T) {
	db, s := store(t, outbox.Config{StatementTimeout: 500 * time.Millisecond})
	enqueue(t, db, 1)
	n, err := s.Relay(t.Context(), core.Claim{Limit: 10}, func(ctx context.Context, jobs []ackbox.Job) []core.Transition {
		if n, err := s.Relay(ctx, core.Claim{Limit: 10}, nil); n != 0 || err != nil {
			t.Errorf("a second relay claimed %d, %v", n, err)
		}
		verdicts, err := s.Finish(ctx, []core.Transition{{ID: jobs[0].ID, Attempt: 1, To: ackbox.Done}})
		if err != nil || verdicts[0] != core.Busy {
			t.Errorf("Finish: %v, %v; want busy", verdicts, err)
		}
		run := ackbox.WithRun(ctx, ackbox.Run{Job: jobs[0]})
		short, cancel := context.WithTimeout(run, 50*time.Millisecond)
		defer cancel()
		start := time.Now()
		err = db.Transaction(func(tx *gorm.DB) error { return outbox.Complete(short, tx) })
		if took := time.Since(start); !errors.Is(err, context.DeadlineExceeded) || took > 400*time.Millisecond {
			t.Errorf("Complete: %v after %v, want its context's deadline of 50ms", err, took)
		}
		return allSent(jobs)
	})
	if n != 1 || err != nil {
		t.Fatalf("relayed %d, %v", n, err)
	}
}

// Complete waits for a row that is on the wire, and completes it when the
// dispatcher lets go of it.
func TestCompleteWaitsForTheWire(t *testing.T) {
	db, s := store(t, outbox.Config{})
	enqueue(t, db, 1)
	completed := make(chan error, 1)
	var id string
	_, err := s.Relay(t.Context(), core.Claim{Limit: 1}, func(ctx context.Context, jobs []ackbox.Job) []core.Transition {
		id = jobs[0].ID
		go func() { // its end is awaited below
			run := ackbox.WithRun(t.Context(), ackbox.Run{Job: jobs[0]})
			completed <- db.Transaction(func(tx *gorm.DB) error { return outbox.Complete(run, tx) })
		}()
		untilTrue(ctx, t, db, `SELECT count(*) > 0 FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE 'UPDATE%done%'`)
		return allSent(jobs)
	})
	if err != nil {
		t.Error(err)
	}
	if err := <-completed; err != nil {
		t.Errorf("Complete: %v", err)
	}
	if got, err := s.Get(t.Context(), id); err != nil || got.State != ackbox.Done || got.SentAt == nil {
		t.Errorf("%+v, %v; want done", got, err)
	}
}

// An operator's Cancel waits for the wire, too, and then finds the job sent.
func TestCancelWaitsForTheWire(t *testing.T) {
	db, s := store(t, outbox.Config{})
	enqueue(t, db, 1)
	type result struct {
		n   int
		err error
	}
	cancelled := make(chan result, 1)
	_, err := s.Relay(t.Context(), core.Claim{Limit: 1}, func(ctx context.Context, jobs []ackbox.Job) []core.Transition {
		go func() { // its end is awaited below
			n, err := s.Cancel(t.Context(), jobs[0].ID)
			cancelled <- result{n, err}
		}()
		untilTrue(ctx, t, db, `SELECT count(*) > 0 FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%cancelled%'`)
		return allSent(jobs)
	})
	if err != nil {
		t.Error(err)
	}
	if r := <-cancelled; r.n != 0 || r.err != nil {
		t.Errorf("cancelled %d, %v; want none: it was sent", r.n, r.err)
	}
}

// Sweeps and workers pass over what another one has locked.
func TestSweepsSkipLockedRows(t *testing.T) {
	db, s := store(t, outbox.Config{})
	enqueue(t, db, 2)
	var ids []string
	_, err := s.Relay(t.Context(), core.Claim{Limit: 2}, func(_ context.Context, jobs []ackbox.Job) []core.Transition {
		ids = []string{jobs[0].ID, jobs[1].ID}
		return allSent(jobs)
	})
	if err != nil {
		t.Fatal(err)
	}
	tx := db.Begin()
	defer tx.Rollback()
	if err := tx.Exec("SELECT 1 FROM ackbox_jobs WHERE id = ? FOR UPDATE", ids[0]).Error; err != nil {
		t.Fatal(err)
	}
	me := beating(t, s)
	held, err := s.Hold(t.Context(), me, []core.Holding{{ID: ids[0], Attempt: 1}, {ID: ids[0], Attempt: 2}})
	if err != nil || fmt.Sprint(held) != "[busy stale]" {
		t.Errorf("Hold: %v, %v", held, err)
	}
	for _, leave := range []func() error{
		func() error { return s.Reconcile(t.Context(), me, nil) },
		func() error { _, err := s.TakeBack(t.Context(), 10); return err },
		func() error { return s.Leave(t.Context(), me) },
	} {
		if err := leave(); err != nil {
			t.Error(err)
		}
	}
	if n, err := s.Resend(t.Context(), "default", time.Now().Add(time.Hour), 0, 10); n != 1 || err != nil {
		t.Errorf("resent %d, %v; want the one that is not locked", n, err)
	}
	verdicts, err := s.Finish(t.Context(), []core.Transition{
		{ID: ids[0], Attempt: 1, To: ackbox.Dead, Error: "a"},
		{ID: ids[1], Attempt: 1, To: ackbox.Done},
		{ID: ids[0], Attempt: 2, To: ackbox.Done},
	})
	if err != nil || fmt.Sprint(verdicts) != "[busy recorded stale]" {
		t.Errorf("%v, %v", verdicts, err)
	}
}

// untilTrue asks the database until it says yes or ctx ends.
func untilTrue(ctx context.Context, t *testing.T, db *gorm.DB, question string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		var yes bool
		if err := db.WithContext(ctx).Raw(question).Scan(&yes).Error; err != nil {
			t.Error(err)
			return
		}
		if yes {
			return
		}
		select {
		case <-ctx.Done():
			t.Errorf("never true: %s", question)
			return
		case <-tick.C:
		}
	}
}

// A dispatcher whose database session dies with a batch on the wire leaves
// nothing behind: the rows are pending, and published again.
func TestSessionDiesOnTheWire(t *testing.T) {
	db, s := store(t, outbox.Config{})
	enqueue(t, db, 3)
	_, err := s.Relay(t.Context(), core.Claim{Limit: 10}, func(_ context.Context, jobs []ackbox.Job) []core.Transition {
		killed := db.Exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
			WHERE datname = current_database() AND state = 'idle in transaction'`)
		if killed.Error != nil || killed.RowsAffected != 1 {
			t.Errorf("ended %d sessions, %v; want the claim's", killed.RowsAffected, killed.Error)
		}
		return allSent(jobs)
	})
	if err == nil {
		t.Error("the loss of the session is no error")
	}
	if counts, err := s.Counts(t.Context()); err != nil || counts[ackbox.Pending] != 3 {
		t.Errorf("%v, %v; want 3 pending", counts, err)
	}
	// The server lets go of the rows when the ended session has gone.
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		n, err := s.Relay(t.Context(), core.Claim{Limit: 10}, func(_ context.Context, jobs []ackbox.Job) []core.Transition { return allSent(jobs) })
		if n == 3 && err == nil {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("relayed %d, %v; want 3", n, err)
		case <-tick.C:
		}
	}
}

// A dispatcher that freezes is cut off by the server; when it wakes up it
// cannot change a row.
func TestFrozenDispatcher(t *testing.T) {
	frozenDispatcher(t, testenv.Postgres(t), "25P03")
}

// frozenDispatcher wants the error of PostgreSQL's
// idle_in_transaction_session_timeout, or what a pooler makes of it.
func frozenDispatcher(t *testing.T, db *gorm.DB, want string) {
	t.Helper()
	s, err := outbox.NewStore(db, outbox.Config{WireTimeout: 200 * time.Millisecond, StatementTimeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	enqueue(t, db, 1)
	_, err = s.Relay(t.Context(), core.Claim{Limit: 10}, func(_ context.Context, jobs []ackbox.Job) []core.Transition {
		// Another dispatcher gets the row as soon as the server lets go of it.
		deadline := time.After(10 * time.Second)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			n, err := s.Relay(t.Context(), core.Claim{Limit: 10}, func(_ context.Context, jobs []ackbox.Job) []core.Transition { return allSent(jobs) })
			if n == 1 && err == nil {
				break
			}
			select {
			case <-deadline:
				t.Fatalf("the row stays locked: %d, %v", n, err)
			case <-tick.C:
			}
		}
		return []core.Transition{{ID: jobs[0].ID, Attempt: 1, To: ackbox.Dead, Error: "from the past"}}
	})
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("the frozen dispatcher's report: %v, want %s", err, want)
	}
	if counts, err := s.Counts(t.Context()); err != nil || counts[ackbox.Sent] != 1 {
		t.Errorf("%v, %v; want the job sent", counts, err)
	}
}
