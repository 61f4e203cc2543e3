package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gorm.io/driver/postgres"
	"gorm.io/gorm"

	"github.com/ackbox/ackbox/internal/testenv"
	"github.com/ackbox/ackbox/outbox"
	"github.com/ackbox/ackbox/retry"
)

// jobsIn inserts n jobs of a queue and state whose time was between so many and one
// seconds ago.
func jobsIn(t *testing.T, db *gorm.DB, queue, state string, n, seconds int) {
	t.Helper()
	err := db.Exec(`INSERT INTO ackbox_jobs (id, kind, queue, exchange, routing_key, mandatory, payload, max_attempts, state, due_at, sent_at, seen_at, finished_at)
		SELECT `+newID+`, 'k', ?, '', 'r', true, '{}', 9, ?, at, at, at, CASE WHEN ? IN ('done', 'dead', 'cancelled') THEN at END
		FROM (SELECT now() - interval '1 second' - (? - 1) * interval '1 second' * i / ? AS at FROM generate_series(1, ?) AS i) AS times`,
		queue, state, state, seconds, n, n).Error
	if err != nil {
		t.Fatal(err)
	}
}

func countOf(t *testing.T, db *gorm.DB, where string, args ...any) (n int) {
	t.Helper()
	if err := db.Raw("SELECT count(*) FROM ackbox_jobs WHERE "+where, args...).Scan(&n).Error; err != nil {
		t.Fatal(err)
	}
	return n
}

// inQueues is a broker that says how much waits in each queue.
type inQueues func(queue string) int

func (q inQueues) Waiting(_ context.Context, queue string) (int, error) { return q(queue), nil }

// sweeperOf returns a Sweeper that takes for lost what was not vouched for in a
// second or more.
func sweeperOf(t *testing.T, s *outbox.Store, stuckAfter time.Duration, waiting inQueues) *retry.Sweeper {
	t.Helper()
	sweeper, err := retry.NewSweeper(s, waiting, retry.Config{StuckAfter: stuckAfter, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return sweeper
}

// How far a queue has come is known whatever others have finished since.
func TestAgesBesideABusyQueue(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]outbox.Config{"plain": {}, "partitioned": {Partitioned: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, s, _ := recorded(t, cfg)
			jobsIn(t, db, "slow", "done", 3, 1800)
			jobsIn(t, db, "busy", "done", 10_000, 60)
			jobsIn(t, db, "slow", "sent", 2, 3600)
			jobsIn(t, db, "busy", "sent", 2, 3600)
			ages, err := s.Ages(t.Context())
			if err != nil || len(ages) != 2 {
				t.Fatalf("ages %v, %v", ages, err)
			}
			for _, age := range ages {
				// The latest of each has finished so long ago, give or take this test.
				want := map[string]time.Duration{"slow": 601 * time.Second, "busy": time.Second}[age.Queue]
				if come := age.Now.Sub(age.Frontier); come < want-time.Second || come > want+time.Minute {
					t.Errorf("%s has come to %v ago, want %v", age.Queue, come, want)
				}
			}
		})
	}
}

// A lost job of a slow queue with a backlog is found in time, though another queue
// finishes thousands meanwhile.
func TestLostBesideABusyQueue(t *testing.T) {
	t.Parallel()
	db, s, _ := recorded(t, outbox.Config{})
	const stuckAfter = 2 * time.Second
	sweeper := sweeperOf(t, s, stuckAfter, func(string) int { return 7 })
	jobsIn(t, db, "slow", "sent", 1, 1)
	began := time.Now()
	for countOf(t, db, "queue = 'slow' AND resend = 1") == 0 {
		if time.Since(began) > time.Minute {
			t.Fatal("the lost job was not found in a minute")
		}
		// What is finished was sent a moment ago: both queues are worked off.
		jobsIn(t, db, "slow", "done", 1, 1)
		jobsIn(t, db, "busy", "done", 3000, 1)
		jobsIn(t, db, "busy", "sent", 5, 1)
		if _, err := sweeper.Resend(t.Context()); err != nil {
			t.Fatal(err)
		}
		run(t, db, `UPDATE ackbox_jobs SET seen_at = now() WHERE queue = 'busy' AND state = 'sent'`)
	}
	// Its frontier is StuckAfter behind, a suspicion takes 1.5 times a quarter of it.
	if took := time.Since(began); took > 3*stuckAfter {
		t.Errorf("found after %v, StuckAfter is %v", took, stuckAfter)
	}
	if n := countOf(t, db, "queue = 'busy' AND resend > 0"); n != 0 {
		t.Errorf("%d jobs that are in a worker's hands were sent again", n)
	}
}

// After a broker was wiped all that was on the way comes back in one go, and the
// queue with little does not wait for the one with much.
func TestLostJobsComeBackAtOnce(t *testing.T) {
	t.Parallel()
	db, s, _ := recorded(t, outbox.Config{})
	const lost, little = 150_000, 10
	jobsIn(t, db, "a", "sent", lost, 3600)
	jobsIn(t, db, "b", "sent", little, 3600)
	run(t, db, "VACUUM ANALYZE ackbox_jobs")
	var begun atomic.Bool // from then on what is sent again waits in its queue
	sweeper := sweeperOf(t, s, time.Second, func(string) int {
		if begun.Load() {
			return 1
		}
		return 0
	})
	for deadline := time.Now().Add(time.Minute); ; {
		began := time.Now()
		n, err := sweeper.Resend(t.Context())
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("resent %d, %v", n, err)
		}
		if n == 0 {
			continue
		}
		if n != lost+little {
			t.Errorf("resent %d in the first go, want all %d", n, lost+little)
		}
		took := time.Since(began)
		t.Logf("%d jobs in %v: %.0f/s", n, took.Round(time.Millisecond), float64(n)/took.Seconds())
		break
	}
	var behind int // of the large queue before the small one was done
	err := db.Raw(`SELECT count(*) FROM ackbox_jobs WHERE queue = 'a' AND due_at < (SELECT max(due_at) FROM ackbox_jobs WHERE queue = 'b')`).Scan(&behind).Error
	if err != nil || behind > 2*retry.DefaultBatch {
		t.Errorf("%d jobs of the large queue came first, %v", behind, err)
	}
}

// While a long transaction keeps all entries of the indexes that sweeps read, and
// these are more than can be read in time, each sweep still finds what there is,
// young or old, after a restart, too.
func TestSweepsBesideALongTransaction(t *testing.T) {
	t.Parallel()
	db, patient, _ := recorded(t, outbox.Config{})
	long := db.Begin()
	defer long.Rollback()
	if err := long.Exec("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ").Exec("SELECT count(*) FROM ackbox_jobs").Error; err != nil {
		t.Fatal(err)
	}
	const passed, seconds = 200_000, 3600
	jobsIn(t, db, "default", "nacked", passed, seconds)
	run(t, db, "UPDATE ackbox_jobs SET state = 'sent'",
		"UPDATE ackbox_jobs SET state = 'done', finished_at = sent_at",
		"UPDATE ackbox_jobs SET state = 'dead'", "DELETE FROM ackbox_jobs", "ANALYZE ackbox_jobs")

	sweeps := map[string]func(*outbox.Store) (int, error){
		"nacked": func(s *outbox.Store) (int, error) {
			return inEach(s.NackedQueues, func(queue string) (int, error) { return s.Rearm(t.Context(), queue, 100) })
		},
		"sent": func(s *outbox.Store) (int, error) {
			return inEach(sentQueues(s), func(queue string) (int, error) {
				return s.Resend(t.Context(), queue, time.Now(), time.Millisecond, 100)
			})
		},
		"done": func(s *outbox.Store) (int, error) {
			return inEach(s.FinishedQueues, func(queue string) (int, error) { return s.Purge(t.Context(), queue, 0, 100) })
		},
		"dead": func(s *outbox.Store) (int, error) { return s.PurgeDead(t.Context(), 0, 100) },
	}
	for state, sweep := range sweeps {
		whole := time.Now()
		if n, err := sweep(patient); n != 0 || err != nil {
			t.Fatalf("%s: swept %d of nothing, %v", state, n, err)
		}
		took := time.Since(whole)
		short := anotherStore(t, max(took/4, 10*time.Millisecond))
		for _, age := range []int{1, seconds / 2, 2 * seconds} {
			jobsIn(t, db, "default", state, 1, age)
			jobsIn(t, db, fmt.Sprint("other", age), state, 1, age)
		}
		failed, began := 0, time.Now()
		for n := 0; n < 6; {
			did, err := sweep(short)
			n += did
			switch {
			case err != nil && strings.Contains(err.Error(), "SQLSTATE 57014"):
				failed++
			case err != nil:
				t.Fatalf("%s: %v", state, err)
			}
			if time.Since(began) > time.Minute {
				t.Fatalf("%s: %d of 6 were found in a minute, with %d failures; all is read in %v", state, n, failed, took)
			}
		}
		t.Logf("%s: all is read in %v, a quarter of it is enough for all jobs after %v and %d failures", state, took, time.Since(began), failed)
	}
}

// sentQueues lists queues as the resend sweep does.
func sentQueues(s *outbox.Store) func(context.Context) ([]string, error) {
	return func(ctx context.Context) ([]string, error) {
		ages, err := s.Ages(ctx)
		queues := make([]string, len(ages))
		for i, age := range ages {
			queues[i] = age.Queue
		}
		return queues, err
	}
}

// inEach runs a sweep's statement in each queue of a list, as a Sweeper does.
func inEach(list func(context.Context) ([]string, error), sweep func(queue string) (int, error)) (total int, err error) {
	queues, err := list(context.Background())
	for _, queue := range queues {
		n, sweepErr := sweep(queue)
		total += n
		err = errors.Join(err, sweepErr)
	}
	return total, err
}

// anotherStore returns the Store that another process would have, whose statements
// the server ends after that time: our own deadline ends the session, too, and to
// open another one takes longer than that.
func anotherStore(t *testing.T, timeout time.Duration) *outbox.Store {
	t.Helper()
	settings := fmt.Sprintf("&statement_timeout=%d", timeout.Milliseconds())
	s, err := outbox.NewStore(open(t, postgres.Open(testenv.DatabaseURL(t)+settings), 2, gorm.Config{}), outbox.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}
