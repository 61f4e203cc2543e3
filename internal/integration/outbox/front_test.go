package outbox_test

import (
	"context"
	"testing"
	"time"

	"gorm.io/driver/postgres"
	"gorm.io/gorm"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/internal/testenv"
	"github.com/ackbox/ackbox/outbox"
)

// newID makes an id as NewID does: in the order of their making, which spares the index
// of ids a page for each of them.
const newID = `(lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000000)::bigint), 16, '0') ||
	lpad(to_hex((random() * 1e15)::bigint), 16, '0'))::uuid`

// jobsDue inserts n jobs that have been due for some seconds.
const jobsDue = `INSERT INTO ackbox_jobs (id, kind, queue, exchange, routing_key, mandatory, payload, max_attempts, due_at)
	SELECT ` + newID + `, 'k', 'default', '', 'default', true, '{}', 9, now() - ?::interval FROM generate_series(1, ?)`

// While a long transaction keeps finished rows from being vacuumed, claims do not
// read all of them each time, and still find what turns up late.
func TestClaimBesideALongTransaction(t *testing.T) {
	t.Parallel()
	db, s, _ := recorded(t, outbox.Config{})
	long := db.Begin()
	defer long.Rollback()
	if err := long.Exec("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ").Exec("SELECT count(*) FROM ackbox_jobs").Error; err != nil {
		t.Fatal(err)
	}
	const finished = 100_000
	if err := db.Exec(jobsDue, "1 minute", finished).Error; err != nil {
		t.Fatal(err)
	}
	run(t, db, "UPDATE ackbox_jobs SET state = 'done', sent_at = now(), finished_at = now()", "ANALYZE ackbox_jobs")
	pool, err := db.DB()
	if err != nil {
		t.Fatal(err)
	}
	pool.SetMaxIdleConns(1) // of claims, whose session's counters are looked at

	whole := readByClaims(t, db, s, 1)
	if whole < finished {
		t.Fatalf("the first claim read %d entries, want all %d", whole, finished)
	}
	const claims = 100
	if read := readByClaims(t, db, s, claims); read > claims/2*finished {
		t.Errorf("%d claims read %d entries of %d", claims, read, finished)
	}
	for name, due := range map[string]string{"new": "0", "late": "1 hour"} {
		if err := db.Exec(jobsDue, due, 1).Error; err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(time.Minute); claim(t, s) == 0; {
			if time.Now().After(deadline) {
				t.Fatalf("a %s job was not found in a minute", name)
			}
		}
	}
}

// Where so many finished rows cannot be vacuumed that no claim could read all of
// them in time, a process that has just started claims what is new at once, and
// finds what is old behind them, bit by bit. Each queue has its own front.
func TestClaimThatCannotReadAll(t *testing.T) {
	t.Parallel()
	db, _ := store(t, outbox.Config{})
	run(t, db, "ALTER TABLE ackbox_jobs SET (autovacuum_enabled = off)")
	long := db.Begin()
	defer long.Rollback()
	if err := long.Exec("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ").Exec("SELECT count(*) FROM ackbox_jobs").Error; err != nil {
		t.Fatal(err)
	}
	fillQueue(t, db, "default", 600_000, time.Minute)
	fillQueue(t, db, "other", 1000, time.Minute)
	run(t, db, "UPDATE ackbox_jobs SET state = 'done', sent_at = now(), finished_at = now()", "ANALYZE ackbox_jobs")
	whole := time.Hour
	for range 3 {
		began := time.Now()
		run(t, db, "SELECT id FROM ackbox_jobs WHERE state = 'pending' AND queue = 'default' ORDER BY due_at, id LIMIT 1")
		whole = min(whole, time.Since(began))
	}
	// Another handle: what a process has that has just started.
	db = open(t, postgres.Open(testenv.DatabaseURL(t)), 5, gorm.Config{})
	s, err := outbox.NewStore(db, outbox.Config{StatementTimeout: whole / 2, Queues: []string{"default", "other"}})
	if err != nil {
		t.Fatal(err)
	}
	try := func() map[string]int {
		got := make(map[string]int)
		_, err := s.Relay(t.Context(), core.Claim{Limit: 100}, func(_ context.Context, jobs []ackbox.Job) []core.Transition {
			for _, job := range jobs {
				got[job.Queue]++
			}
			return allSent(jobs)
		})
		if err != nil {
			t.Logf("claim: %v", err)
		}
		return got
	}
	for _, due := range []time.Duration{0, 3 * time.Minute, 100 * 24 * time.Hour} {
		began, calls := time.Now(), 0
		fillQueue(t, db, "default", 1, due)
		fillQueue(t, db, "other", 1, due)
		for found := 0; found < 2; calls++ {
			if got := try(); len(got) > 0 {
				found += got["default"] + got["other"]
			}
			if time.Since(began) > time.Minute {
				t.Fatalf("due %v ago: of two jobs %d were found in a minute and %d calls", due, found, calls)
			}
		}
		if due == 0 && calls > 5 {
			t.Errorf("new jobs were found by call %d", calls)
		}
		t.Logf("due %v ago: found after %v and %d calls that have %v, where reading all takes %v", due, time.Since(began), calls, whole/2, whole)
	}
}

// claim claims once, and sends what it finds.
func claim(t *testing.T, s *outbox.Store) int {
	t.Helper()
	n, err := s.Relay(t.Context(), core.Claim{Limit: 100}, func(_ context.Context, jobs []ackbox.Job) []core.Transition {
		out := make([]core.Transition, len(jobs))
		for i, job := range jobs {
			out[i] = core.Transition{ID: job.ID, Attempt: job.Attempt, To: ackbox.Sent}
		}
		return out
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// readByClaims returns how many entries of the index of pending jobs a number of
// claims reads.
func readByClaims(t *testing.T, db *gorm.DB, s *outbox.Store, claims int) int {
	t.Helper()
	count := func() (n int) {
		t.Helper()
		run(t, db, "SELECT pg_stat_force_next_flush()")
		err := db.Raw("SELECT idx_tup_read FROM pg_stat_user_indexes WHERE indexrelname = 'ackbox_jobs_pending'").Scan(&n).Error
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := count()
	for range claims {
		claim(t, s)
	}
	return count() - before
}
