package outbox_test

import (
	"context"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/outbox"
)

// jobsDue inserts n jobs that have been due for some seconds.
const jobsDue = `INSERT INTO ackbox_jobs (id, kind, queue, exchange, routing_key, mandatory, payload, max_attempts, due_at)
	SELECT gen_random_uuid(), 'k', 'default', '', 'default', true, '{}', 9, now() - ?::interval FROM generate_series(1, ?)`

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

// claim claims once, and sends what it finds.
func claim(t *testing.T, s *outbox.Store) int {
	t.Helper()
	n, err := s.Relay(t.Context(), ackbox.Claim{Limit: 100}, func(_ context.Context, jobs []ackbox.Job) []ackbox.Transition {
		out := make([]ackbox.Transition, len(jobs))
		for i, job := range jobs {
			out[i] = ackbox.Transition{ID: job.ID, Attempt: job.Attempt, To: ackbox.Sent}
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
