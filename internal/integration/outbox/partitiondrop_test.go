package outbox_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
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

// retention of these tests: partitions are droppable from four days ago on.
const retention = 3 * day

// over makes a row one whose retention has passed.
const (
	onceSent = "sent_at = now(), seen_at = now(), "
	over     = onceSent + "finished_at = now() - interval '73 hours', "
)

// drop wants exactly these to be dropped and kept.
func drop(t *testing.T, s *outbox.Store, wantDropped, wantKept []string) {
	t.Helper()
	dropped, kept, err := s.DropPartitions(t.Context(), retention)
	if !slices.Equal(dropped, wantDropped) || !slices.Equal(slices.Sorted(maps.Keys(kept)), wantKept) || err != nil {
		t.Errorf("dropped %v, kept %v, %v; want %v and %v", dropped, kept, err, wantDropped, wantKept)
	}
}

// What is past its retention goes with its partition; what is not stays as it
// is, to the last column, and goes on living.
func TestDropPartitions(t *testing.T) {
	t.Parallel()
	db, s := partitioned(t, 30, 10, 9, 4, 3)
	gone := []string{
		put(t, db, 30, 1, over+"state = 'done'"),
		put(t, db, 10, 1, over+"state = 'done'"),
		put(t, db, 10, 2, over+"state = 'cancelled'"),
		put(t, db, 10, 3, over+"state = 'sent', queue = ''"),
		put(t, db, 4, 1, over+"state = 'done'"),
	}
	keep := map[string]string{
		"pending":                 put(t, db, 10, 11, ""),
		"due in twenty days":      put(t, db, 10, 12, "due_at = now() + interval '20 days'"),
		"nacked":                  put(t, db, 10, 13, "state = 'nacked'"),
		"refused":                 put(t, db, 10, 21, "state = 'refused'"),
		"sent":                    put(t, db, 10, 14, "state = 'sent', sent_at = now() - interval '9 days', seen_at = now() - interval '9 days'"),
		"dead past the retention": put(t, db, 10, 15, over+"state = 'dead', history = '[{\"attempt\": 1}]', last_error = 'e'"),
		"dead for long":           put(t, db, 10, 16, "state = 'dead', finished_at = now() - interval '100 days'"),
		"just done":               put(t, db, 10, 17, onceSent+"state = 'done', finished_at = now() - interval '71 hours'"),
		"just cancelled":          put(t, db, 10, 18, onceSent+"state = 'cancelled', finished_at = now()"),
		"event":                   put(t, db, 10, 19, onceSent+"state = 'sent', queue = '', finished_at = now()"),
		"of the future":           put(t, db, 10, 20, onceSent+"state = 'done', finished_at = now() + interval '1000 years'"),
		"in the default":          put(t, db, 20, 1, over+"state = 'done'"),
		"in a later one":          put(t, db, 3, 1, over+"state = 'done'"),
	}
	texts := make(map[string]string)
	for name, id := range keep {
		texts[name] = text(t, db, id)
	}
	// A state that this test does not know is one that the drop may not know.
	var states []string
	if err := db.Raw("SELECT DISTINCT state FROM " + nameOf(10)).Scan(&states).Error; err != nil || len(states) != len(ackbox.States()) {
		t.Fatalf("the partition has jobs %q, %v; want some of each state of %q", states, err, ackbox.States())
	}
	drop(t, s, []string{nameOf(30), nameOf(10), nameOf(9), nameOf(4)}, nil)
	for _, id := range gone {
		if got := text(t, db, id); got != "" {
			t.Errorf("still there: %s", got)
		}
	}
	for name, id := range keep {
		if got := text(t, db, id); got != texts[name] {
			t.Errorf("the job that is %s was\n%s and is\n%s", name, texts[name], got)
		}
	}
	if got := partitions(t, db); slices.Contains(got, nameOf(10)) || !slices.Contains(got, nameOf(3)) || !slices.Contains(got, nameOf(0)) {
		t.Errorf("there are %v", got)
	}
	// It is a job like others, and rows in the default partition are purged.
	if n, err := s.Relay(t.Context(), core.Claim{Limit: 10}, allSentIn); n != 1 || err != nil {
		t.Errorf("relayed %d, %v; want the pending one", n, err)
	}
	if n, err := s.Requeue(t.Context(), keep["dead for long"]); n != 1 || err != nil {
		t.Errorf("requeued %d, %v", n, err)
	}
	if n, err := s.Purge(t.Context(), "default", retention, 10); n != 1 || err != nil || text(t, db, keep["in the default"]) != "" {
		t.Errorf("purged %d, %v; want what is in the default partition, and dropping is for the rest", n, err)
	}
	drop(t, s, nil, nil)
	if _, _, err := s.DropPartitions(t.Context(), -1); err == nil {
		t.Error("a negative retention was taken")
	}
}

// A partition with much to keep stays whole.
func TestDropKeepsFullPartitions(t *testing.T) {
	t.Parallel()
	db, s := partitioned(t, 12, 11, 10, 9)
	fill := func(ago, rows, bytes int) {
		run(t, db, fmt.Sprintf(`INSERT INTO ackbox_jobs (id, kind, queue, exchange, routing_key, mandatory, payload, max_attempts, state, finished_at)
			SELECT ('%s' || lpad(to_hex(n), 12, '0'))::uuid, 'k', 'default', '', 'default', true,
				(SELECT string_agg(sha512((n + m)::text::bytea), '') FROM generate_series(1, %d) AS m), 9, 'dead', now() FROM generate_series(1, %d) AS n`,
			idOf(today().AddDate(0, 0, -ago), 0)[:24], (bytes+63)/64, rows))
	}
	fill(12, 1001, 1)
	fill(11, 1000, 1)
	fill(10, 65, 256<<10)
	fill(9, 63, 256<<10)
	drop(t, s, []string{nameOf(11), nameOf(9)}, []string{nameOf(12), nameOf(10)})
	_, kept, err := s.DropPartitions(t.Context(), retention)
	if err != nil || !strings.Contains(kept[nameOf(12)], "more than 1000") || !strings.Contains(kept[nameOf(10)], "bytes") {
		t.Errorf("kept %v, %v", kept, err)
	}
	if counts, err := s.Counts(t.Context()); err != nil || counts[ackbox.Dead] != 1001+1000+65+63 {
		t.Errorf("%v, %v", counts, err)
	}
	// Once somebody has acted on them it goes.
	run(t, db, "DELETE FROM "+nameOf(12)+" WHERE id = '"+idOf(today().AddDate(0, 0, -12), 1)+"'")
	drop(t, s, []string{nameOf(12)}, []string{nameOf(10)})
}

// A partition in which a transaction has a row stays, and nobody waits for long.
func TestDropWaitsForNobody(t *testing.T) {
	t.Parallel()
	db, s := partitioned(t, 10)
	dead := put(t, db, 10, 1, over+"state = 'dead'")
	for name, statement := range map[string]string{
		"inserted": "INSERT INTO ackbox_jobs SELECT (t).* FROM (SELECT jsonb_populate_record(t, jsonb_build_object('id', gen_random_uuid())) AS t FROM ackbox_jobs AS t) AS t",
		"requeued": "UPDATE ackbox_jobs SET state = 'pending', finished_at = NULL WHERE id = '" + dead + "'",
		"locked":   "SELECT FROM ackbox_jobs WHERE id = '" + dead + "' FOR NO KEY UPDATE SKIP LOCKED",
	} {
		tx := db.Begin()
		if err := tx.Exec(statement).Error; err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		drop(t, s, nil, []string{nameOf(10)})
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("%s: it waited %v", name, took)
		}
		tx.Rollback()
	}
	drop(t, s, []string{nameOf(10)}, nil)
}

// What is committed while the drop waits for its locks is seen by it; what waits
// for the drop finds its row where it has gone.
func TestDropSeesWhatItWaitedFor(t *testing.T) {
	t.Parallel()
	db, s := partitioned(t, 10)
	requeued, cancelled := put(t, db, 10, 1, over+"state = 'dead'"), put(t, db, 10, 2, "")
	finished := put(t, db, 10, 3, over+"state = 'done'")
	for n := 10; ; n++ { // until it is not too late
		if n == 50 {
			t.Fatal("the drop never got its locks")
		}
		tx := db.Begin()
		id := idOf(today().AddDate(0, 0, -10), n)
		if err := outbox.Enqueue(t.Context(), tx, work{n}, outbox.ID(id)); err != nil {
			t.Fatal(err)
		}
		// Someone undoes what was over.
		if err := tx.Exec("UPDATE ackbox_jobs SET state = 'pending', finished_at = NULL WHERE id = ?", finished).Error; err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		var dropped []string
		wg.Go(func() {
			var err error
			if dropped, _, err = s.DropPartitions(t.Context(), retention); err != nil {
				t.Error(err)
			}
		})
		untilTrue(t.Context(), t, db, `SELECT count(*) > 0 FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE 'LOCK TABLE%'`)
		wg.Go(func() {
			if k, err := s.Requeue(t.Context(), requeued); err != nil || k+n != 11 && n == 10 {
				t.Errorf("requeued %d, %v", k, err)
			}
		})
		wg.Go(func() {
			if k, err := s.Cancel(t.Context(), cancelled); err != nil || k != 1 && n == 10 {
				t.Errorf("cancelled %d, %v", k, err)
			}
		})
		if err := tx.Commit().Error; err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		for id, want := range map[string]ackbox.State{id: ackbox.Pending, requeued: ackbox.Pending, cancelled: ackbox.Cancelled, finished: ackbox.Pending} {
			if got, err := s.Get(t.Context(), id); got.State != want || err != nil {
				t.Errorf("job %s is %s, %v; want %s", id, got.State, err, want)
			}
		}
		if len(dropped) > 0 || t.Failed() {
			return
		}
	}
}

// A process that freezes with the table locked is ended by the server.
func TestFrozenDrop(t *testing.T) {
	t.Parallel()
	db, s, r := recorded(t, outbox.Config{Partitioned: true})
	run(t, db, "CREATE TABLE "+nameOf(10)+" PARTITION OF ackbox_jobs"+bounds(today().AddDate(0, 0, -10)))
	id := put(t, db, 10, 1, "")
	before := text(t, db, id)
	frozen, thaw := make(chan struct{}), make(chan struct{})
	r.before = func(query string) {
		if strings.HasPrefix(query, "DROP TABLE") {
			close(frozen)
			<-thaw
		}
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, _, err := s.DropPartitions(t.Context(), retention); err == nil {
			t.Error("the loss of the session is no error")
		}
	})
	defer wg.Wait()
	defer close(thaw)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	select {
	case <-frozen:
	case <-ctx.Done():
		t.Fatal("it never came to drop a partition")
	}
	other := open(t, postgres.Open(testenv.DatabaseURL(t)), 1, gorm.Config{})
	if got := text(t, other.WithContext(ctx), id); got != before {
		t.Errorf("the job is %q, was %q", got, before)
	}
}

// Twenty days are dropped while jobs of those days are written, sent, finished,
// requeued and cancelled: whatever was committed is there, as it was committed.
func TestDropUnderLoad(t *testing.T) {
	t.Parallel()
	ago := make([]int, 20)
	for i := range ago {
		ago[i] = 10 + i
	}
	db, s := partitioned(t, ago...)
	for _, n := range ago {
		put(t, db, n, 1, over+"state = 'done'") // what is to go
	}
	var mu sync.Mutex
	want := make(map[string]ackbox.State)
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	lived := make(chan struct{}, 1) // receives when a job has come to its end
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				id := idOf(today().AddDate(0, 0, -ago[rand.IntN(len(ago))]), 1_000_000*(worker+1)+n)
				state := oneLife(t, db, s, id)
				mu.Lock()
				want[id] = state
				mu.Unlock()
				select {
				case lived <- struct{}{}:
				default:
				}
			}
		})
	}
	var all []string
	for ctx.Err() == nil && len(all) < len(ago) {
		dropped, _, err := s.DropPartitions(t.Context(), retention)
		if err != nil {
			t.Error(err)
		}
		all = append(all, dropped...)
		if len(dropped) == 0 { // it is the jobs' turn
			select {
			case <-lived:
			case <-ctx.Done():
			}
		}
	}
	stop()
	wg.Wait()
	if len(all) != len(ago) {
		t.Errorf("dropped %d partitions, want all %d", len(all), len(ago))
	}
	for id, state := range want {
		if got, err := s.Get(t.Context(), id); got.State != state || err != nil {
			t.Errorf("job %s is %q, %v; want %s", id, got.State, err, state)
		}
	}
	if counts, err := s.Counts(t.Context()); err != nil || sum(counts) != len(want) {
		t.Errorf("%v, %v; want %d in all", counts, err, len(want))
	}
	t.Logf("%d jobs while %d partitions were dropped", len(want), len(all))
}

func sum(counts map[ackbox.State]int) (n int) {
	for _, k := range counts {
		n += k
	}
	return n
}

// oneLife takes a job through some states and returns its last.
func oneLife(t *testing.T, db *gorm.DB, s *outbox.Store, id string) ackbox.State {
	err := db.Transaction(func(tx *gorm.DB) error {
		return outbox.Enqueue(t.Context(), tx, work{1}, outbox.ID(id), outbox.Delay(time.Hour))
	})
	if err != nil {
		t.Error(err)
	}
	state, attempt := ackbox.Pending, 1
	for range rand.IntN(4) {
		if state == ackbox.Dead {
			if n, err := s.Requeue(t.Context(), id); n != 1 || err != nil {
				t.Errorf("requeued %d, %v", n, err)
			}
			state = ackbox.Pending
			attempt++
			continue
		}
		to := []ackbox.State{ackbox.Dead, ackbox.Done, ackbox.Cancelled}[rand.IntN(3)]
		verdicts, err := s.Finish(t.Context(), []core.Transition{{ID: id, Attempt: attempt, To: to}})
		if err != nil || verdicts[0] != core.Recorded {
			t.Errorf("%s: %v, %v", to, verdicts, err)
		}
		if state = to; state != ackbox.Dead {
			break
		}
	}
	return state
}
