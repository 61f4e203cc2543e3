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

func allSent(jobs []ackbox.Job) []ackbox.Transition {
	transitions := make([]ackbox.Transition, len(jobs))
	for i, job := range jobs {
		transitions[i] = ackbox.Transition{ID: job.ID, Attempt: job.Attempt, To: ackbox.Sent}
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
				n, err := s.Relay(t.Context(), 50, func(_ context.Context, jobs []ackbox.Job) []ackbox.Transition {
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
	n, err := s.Relay(t.Context(), 10, func(ctx context.Context, jobs []ackbox.Job) []ackbox.Transition {
		if n, err := s.Relay(ctx, 10, nil); n != 0 || err != nil {
			t.Errorf("a second relay claimed %d, %v", n, err)
		}
		verdicts, err := s.Finish(ctx, []ackbox.Transition{{ID: jobs[0].ID, Attempt: 1, To: ackbox.Done}})
		if err != nil || verdicts[0] != ackbox.Busy {
			t.Errorf("Finish: %v, %v; want busy", verdicts, err)
		}
		if current, err := s.Current(ctx, jobs[0]); !current || err != nil {
			t.Errorf("Current: %v, %v", current, err)
		}
		run := ackbox.WithRun(ctx, ackbox.Run{Job: jobs[0]})
		err = db.Transaction(func(tx *gorm.DB) error { return outbox.Complete(run, tx) })
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Complete: %v, want its deadline", err)
		}
		return allSent(jobs)
	})
	if n != 1 || err != nil {
		t.Fatalf("relayed %d, %v", n, err)
	}
}

// A dispatcher whose database session dies with a batch on the wire leaves
// nothing behind: the rows are pending, and published again.
func TestSessionDiesOnTheWire(t *testing.T) {
	db, s := store(t, outbox.Config{})
	enqueue(t, db, 3)
	_, err := s.Relay(t.Context(), 10, func(_ context.Context, jobs []ackbox.Job) []ackbox.Transition {
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
	if n, err := s.Relay(t.Context(), 10, func(_ context.Context, jobs []ackbox.Job) []ackbox.Transition { return allSent(jobs) }); n != 3 || err != nil {
		t.Errorf("relayed %d, %v; want 3", n, err)
	}
}

// A dispatcher that freezes is cut off by the server; when it wakes up it
// cannot change a row.
func TestFrozenDispatcher(t *testing.T) {
	db, s := store(t, outbox.Config{WireTimeout: 200 * time.Millisecond, StatementTimeout: 300 * time.Millisecond})
	enqueue(t, db, 1)
	_, err := s.Relay(t.Context(), 10, func(_ context.Context, jobs []ackbox.Job) []ackbox.Transition {
		// Another dispatcher gets the row as soon as the server lets go of it.
		deadline := time.After(10 * time.Second)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			n, err := s.Relay(t.Context(), 10, func(_ context.Context, jobs []ackbox.Job) []ackbox.Transition { return allSent(jobs) })
			if n == 1 && err == nil {
				break
			}
			select {
			case <-deadline:
				t.Fatalf("the row stays locked: %d, %v", n, err)
			case <-tick.C:
			}
		}
		return []ackbox.Transition{{ID: jobs[0].ID, Attempt: 1, To: ackbox.Dead, Error: "from the past"}}
	})
	if err == nil {
		t.Error("the frozen dispatcher's report is no error")
	}
	if counts, err := s.Counts(t.Context()); err != nil || counts[ackbox.Sent] != 1 {
		t.Errorf("%v, %v; want the job sent", counts, err)
	}
}

// Each statement of a loop reads its partial index, in the index's order,
// however large the table is.
func TestQueryPlans(t *testing.T) {
	db, s := store(t, outbox.Config{})
	fill := `INSERT INTO ackbox_jobs (id, kind, queue, exchange, routing_key, mandatory, payload, max_attempts, state, due_at, sent_at, seen_at, finished_at)
		SELECT gen_random_uuid(), 'k', 'q' || n % 3, '', 'q', true, '{}', 9, state,
			now() + interval '1 hour' * (n % 3 - 1), now(), now() - interval '1 hour', CASE WHEN state IN ('done', 'dead') THEN now() - n * interval '1 second' END
		FROM generate_series(1, 20000) AS n, unnest(ARRAY['pending', 'nacked', 'sent', 'done', 'dead']) AS state`
	for _, sql := range []string{fill, "ANALYZE ackbox_jobs"} {
		if err := db.Exec(sql).Error; err != nil {
			t.Fatal(err)
		}
	}
	for name, plan := range map[string]struct{ query, index string }{
		"claim":      {"SELECT t.id::text FROM ackbox_jobs AS t WHERE t.state = 'pending' AND t.due_at <= now() ORDER BY t.due_at, t.id LIMIT 256 FOR NO KEY UPDATE SKIP LOCKED", "ackbox_jobs_pending"},
		"rearm":      {"SELECT id FROM ackbox_jobs WHERE state = 'nacked' AND due_at <= now() ORDER BY due_at, id LIMIT 1000 FOR NO KEY UPDATE SKIP LOCKED", "ackbox_jobs_nacked"},
		"resend":     {"SELECT id FROM ackbox_jobs WHERE state = 'sent' AND finished_at IS NULL AND queue = 'q1' AND seen_at < now() ORDER BY queue, seen_at LIMIT 1000 FOR NO KEY UPDATE SKIP LOCKED", "ackbox_jobs_sent"},
		"purge":      {"SELECT id FROM ackbox_jobs WHERE finished_at IS NOT NULL AND state <> 'dead' AND finished_at < now() ORDER BY finished_at LIMIT 1000 FOR UPDATE SKIP LOCKED", "ackbox_jobs_finished"},
		"purge dead": {"SELECT id FROM ackbox_jobs WHERE state = 'dead' AND finished_at < now() ORDER BY finished_at LIMIT 1000 FOR UPDATE SKIP LOCKED", "ackbox_jobs_dead"},
	} {
		var lines []string
		if err := db.Raw("EXPLAIN " + plan.query).Scan(&lines).Error; err != nil {
			t.Fatal(err)
		}
		text := strings.Join(lines, "\n")
		if !strings.Contains(text, plan.index) || strings.Contains(text, "Sort") || strings.Contains(text, "Seq Scan") {
			t.Errorf("%s does not read %s in its order:\n%s", name, plan.index, text)
		}
	}
	start := time.Now()
	if ages, err := s.Ages(t.Context()); err != nil || len(ages) != 3 {
		t.Errorf("ages of %d queues, %v; want 3", len(ages), err)
	}
	t.Logf("Ages over 20,000 sent jobs took %v", time.Since(start))
}

// What a Config must not hold is refused when the Store is made.
func TestBadConfig(t *testing.T) {
	db := testenv.Postgres(t)
	for want, cfg := range map[string]outbox.Config{
		"Schema":           {Schema: `x"; DROP TABLE orders; --`},
		"Table":            {Table: "Jobs"},
		"Queues[1]":        {Queues: []string{"a", ""}},
		"MaxAttempts":      {MaxAttempts: -1},
		"MaxPayloadBytes":  {MaxPayloadBytes: -1},
		"MaxHeaderBytes":   {MaxHeaderBytes: -1},
		"StatementTimeout": {StatementTimeout: -1},
		"WireTimeout":      {WireTimeout: -1},
	} {
		if _, err := outbox.NewStore(db, cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	if _, err := outbox.NewStore(nil, outbox.Config{}); err == nil {
		t.Error("a nil db was taken")
	}
	begin := func() error {
		return db.Transaction(func(tx *gorm.DB) error { return outbox.Enqueue(t.Context(), tx, work{1}) })
	}
	if err := begin(); !errors.Is(err, outbox.ErrNoStore) {
		t.Errorf("without a Store: %v", err)
	}
	for _, table := range []string{"a", "b"} {
		if _, err := outbox.NewStore(db, outbox.Config{Table: table}); err != nil {
			t.Fatal(err)
		}
	}
	if err := begin(); !errors.Is(err, outbox.ErrNoStore) {
		t.Errorf("with two Stores: %v", err)
	}
	if _, err := outbox.NewStore(db, outbox.Config{Table: "a"}); err == nil {
		t.Error("two Stores of one table were taken")
	}
}
