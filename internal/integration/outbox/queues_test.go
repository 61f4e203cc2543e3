package outbox_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/outbox"
)

// fillQueue inserts n jobs of a queue, due one after the other until ago.
func fillQueue(t *testing.T, db *gorm.DB, queue string, n int, ago time.Duration) {
	t.Helper()
	err := db.Exec(`INSERT INTO ackbox_jobs (id, kind, queue, exchange, routing_key, mandatory, payload, max_attempts, due_at)
		SELECT `+newID+`, 'k', ?, '', ?, true, '{}', 9, now() - ?::interval - n * interval '1 millisecond'
		FROM generate_series(1, ?) AS n`, queue, queue, ago.String(), n).Error
	if err != nil {
		t.Fatal(err)
	}
}

// claimOf claims once, sends what it finds, and returns how much of each queue.
func claimOf(t *testing.T, s *outbox.Store, claim core.Claim) map[string]int {
	t.Helper()
	got := make(map[string]int)
	_, err := s.Relay(t.Context(), claim, func(_ context.Context, jobs []ackbox.Job) []core.Transition {
		for _, job := range jobs {
			got[job.Queue]++
		}
		return allSent(jobs)
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// Invariant 8: a queue's job is in the next batch, whatever waits in another.
func TestQuietQueueBesideABacklog(t *testing.T) {
	t.Parallel()
	for name, own := range map[string][]string{"known": {"bulk", "fast"}, "unknown": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, s := store(t, outbox.Config{Queues: own})
			fillQueue(t, db, "bulk", 20_000, time.Hour)
			fillQueue(t, db, "fast", 1, 0)
			got := claimOf(t, s, core.Claim{Limit: 512})
			if got["fast"] != 1 || got["bulk"] != 511 {
				t.Errorf("the first batch is %v, want the job of fast and 511 of bulk", got)
			}
			if got := claimOf(t, s, core.Claim{Limit: 1}); got["bulk"]+got["fast"] != 1 {
				t.Errorf("a batch of one is %v", got)
			}
			// An event is a queue's neighbour, too.
			run(t, db, `INSERT INTO ackbox_jobs (id, kind, queue, exchange, routing_key, mandatory, payload, max_attempts)
				VALUES (gen_random_uuid(), 'k', '', 'x', 'r', false, '{}', 9)`)
			if got := claimOf(t, s, core.Claim{Limit: 10}); got[""] != 1 || got["bulk"] != 9 {
				t.Errorf("beside an event the batch is %v", got)
			}
		})
	}
}

// The first job of a queue that nobody has named is found within seconds.
func TestNewQueueIsFound(t *testing.T) {
	t.Parallel()
	db, s := store(t, outbox.Config{})
	claimOf(t, s, core.Claim{Limit: 10})
	for _, queue := range []string{"zebra", "ant", "Default", "default.eu"} {
		fillQueue(t, db, queue, 1, 0)
		deadline := time.Now().Add(10 * time.Second)
		for claimOf(t, s, core.Claim{Limit: 10})[queue] == 0 {
			if time.Now().After(deadline) {
				t.Fatalf("no claim found the job of %s", queue)
			}
		}
	}
}

// Two hundred queues, all with a backlog, are all served within a few batches,
// and batches are full, also where several claim at once; no job is in two.
func TestEveryQueueIsServed(t *testing.T) {
	t.Parallel()
	const queues, each = 200, 100
	db, s := store(t, outbox.Config{})
	run(t, db, fmt.Sprintf(`INSERT INTO ackbox_jobs (id, kind, queue, exchange, routing_key, mandatory, payload, max_attempts, due_at)
		SELECT gen_random_uuid(), 'k', 'q' || q, '', 'q' || q, true, '{}', 9, now() - n * interval '1 second'
		FROM generate_series(1, %d) AS q, generate_series(1, %d) AS n`, queues, each), "ANALYZE ackbox_jobs")
	served := make(map[string]int)
	for range 5 {
		got := claimOf(t, s, core.Claim{Limit: 512})
		n := 0
		for queue, jobs := range got {
			served[queue] += jobs
			n += jobs
			if jobs > 512/64 {
				t.Errorf("a batch has %d jobs of %s", jobs, queue)
			}
		}
		if n != 512 {
			t.Errorf("a batch has %d jobs of 512", n)
		}
	}
	if len(served) != queues {
		t.Errorf("%d of %d queues were served in 5 batches", len(served), queues)
	}
	var mu sync.Mutex
	seen := make(map[string]int)
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			for {
				n, err := s.Relay(t.Context(), core.Claim{Limit: 512}, func(_ context.Context, jobs []ackbox.Job) []core.Transition {
					mu.Lock()
					defer mu.Unlock()
					for _, job := range jobs {
						seen[job.ID]++
					}
					return allSent(jobs)
				})
				if err != nil {
					t.Error(err)
				}
				if n == 0 || err != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	if len(seen) != queues*each-5*512 {
		t.Errorf("%d jobs were claimed at last, want %d", len(seen), queues*each-5*512)
	}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("job %s was in %d batches", id, n)
		}
	}
}

// Queues that are left out cost a claim nothing, however much waits in them.
func TestExceptIsPassedOver(t *testing.T) {
	t.Parallel()
	db, s, r := recorded(t, outbox.Config{})
	fillQueue(t, db, "stalled", 50_000, time.Hour)
	fillQueue(t, db, "zoo", 3, 0)
	run(t, db, "VACUUM ANALYZE ackbox_jobs")
	claim := core.Claim{Limit: 512, Except: []string{"stalled", "nowhere"}}
	queries := r.during(func() {
		if got := claimOf(t, s, claim); got["zoo"] != 3 || len(got) != 1 {
			t.Errorf("claimed %v", got)
		}
	})
	plan := strings.Join(analyze(t, db, queries[0]), "\n")
	if n := pages(plan); n == 0 || n > 20 {
		t.Errorf("a claim of nothing touched %d pages:\n%s", n, plan)
	}
	if got := claimOf(t, s, core.Claim{Limit: 512, Except: []string{"zoo"}}); got["stalled"] != 512 {
		t.Errorf("claimed %v when it was back", got)
	}
}

// The search for queues passes over the rows of those that are known.
func TestSeekReadsNoKnownQueue(t *testing.T) {
	t.Parallel()
	db, s, r := recorded(t, outbox.Config{Queues: []string{"b", "d"}})
	for _, queue := range []string{"a", "b", "c", "d", "e"} {
		fillQueue(t, db, queue, 5000, time.Hour)
	}
	run(t, db, "VACUUM ANALYZE ackbox_jobs")
	r.during(func() { claimOf(t, s, core.Claim{Limit: 10}) })
	i := slices.IndexFunc(r.seen, func(q seenQuery) bool { return strings.HasPrefix(q.SQL, seeking) })
	if i < 0 {
		t.Fatal("the first claim looks for no queues")
	}
	for mode, plan := range explain(t, db, r.seen[i]) {
		if strings.Count(plan, "ackbox_jobs_pending") != 2 || strings.Contains(plan, "Seq Scan") {
			t.Errorf("%s:\n%s", mode, plan)
		}
	}
	plan := strings.Join(analyze(t, db, r.seen[i]), "\n")
	if n := pages(plan); n == 0 || n > 50 {
		t.Errorf("the search touched %d pages:\n%s", n, plan)
	}
	if got := claimOf(t, s, core.Claim{Limit: 10}); len(got) != 5 {
		t.Errorf("claimed %v, want jobs of all five queues", got)
	}
}
