package outbox

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// deadFront is an index of a queue: rows to be found, and dead entries that only
// cost time, a microsecond each, by their ages.
type deadFront struct {
	rows map[time.Duration]int
	dead map[time.Duration]int
	// perRow is what changing a row takes.
	perRow     time.Duration
	statements int
}

func in(w window, age time.Duration) bool { return w.young <= age && age < w.old }

// statement is what PostgreSQL would do with it within timeout.
func (d *deadFront) statement(timeout time.Duration) func(context.Context, window, int) (int, error) {
	return func(_ context.Context, w window, most int) (int, error) {
		d.statements++
		took, found := 200*time.Microsecond, 0
		for age, n := range d.dead {
			if in(w, age) {
				took += time.Duration(n) * time.Microsecond
			}
		}
		for age, n := range d.rows {
			if in(w, age) {
				found += min(n, most-found)
			}
		}
		if took += time.Duration(found) * d.perRow; took > timeout {
			time.Sleep(timeout)
			return 0, context.DeadlineExceeded
		}
		time.Sleep(took)
		left := found
		for age, n := range d.rows {
			if in(w, age) {
				d.rows[age] = n - min(n, left)
				left -= min(n, left)
			}
		}
		return found, nil
	}
}

func (d *deadFront) left() (n int) {
	for _, rows := range d.rows {
		n += rows
	}
	return n
}

// Whatever lies in front of them, all rows are found in the end, by calls of bounded
// length, and when the dead are gone one statement is enough again.
func TestWalkFindsAllRows(t *testing.T) {
	t.Parallel()
	const timeout = time.Second
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 1))
			d := &deadFront{rows: map[time.Duration]int{0: 1, 90 * 24 * time.Hour: 2}, dead: map[time.Duration]int{}, perRow: 100 * time.Microsecond}
			span := time.Duration(1+random.IntN(1000)) * time.Minute
			for range 200 { // 40 million: 40 s, in heaps of 100,000 on average
				d.dead[time.Duration(random.Int64N(int64(span)))] += random.IntN(400_000)
				d.rows[time.Duration(random.Int64N(int64(2*span)))]++
			}
			d.rows[span/3] += 30_000 // more than can be changed in time in one statement of 10,000
			s := &Store{d: postgresDialect, cfg: Config{StatementTimeout: timeout}}
			sweep := func() error {
				began := time.Now()
				_, err := s.inWindows(t.Context(), "sweep", window{0, allAges}, MaxBatch, d.statement(timeout))
				if took := time.Since(began); took > 2*timeout {
					t.Errorf("a call took %v", took)
				}
				return err
			}
			if err := sweep(); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the first, which is to be told about: %v", err)
			}
			began := time.Now()
			for calls := 1; d.left() > 0; calls++ {
				if err := sweep(); err != nil {
					t.Fatal(err)
				}
				if calls > 1000 {
					t.Fatalf("%d rows are left after %d calls and %d statements", d.left(), calls, d.statements)
				}
			}
			t.Logf("seed %d: all found within %v, in %d statements", seed, time.Since(began), d.statements)

			clear(d.dead)
			for range 100 {
				if err := sweep(); err != nil {
					t.Fatal(err)
				}
			}
			before := d.statements
			if err := sweep(); err != nil || d.statements != before+1 {
				t.Errorf("with nothing dead it takes %d statements, %v", d.statements-before, err)
			}
		})
	}
}

// What cannot be read at all does not keep the rest from being found.
func TestWalkLeavesOutWhatCannotBeRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &deadFront{
			rows: map[time.Duration]int{time.Second: 1, time.Hour: 1, 2 * time.Hour: 1},
			dead: map[time.Duration]int{time.Hour: 1e9}, // one moment's, as of one bulk UPDATE
		}
		s := &Store{d: postgresDialect, cfg: Config{StatementTimeout: time.Second}}
		for range 200 {
			_, _ = s.inWindows(t.Context(), "sweep", window{0, allAges}, 100, d.statement(time.Second)) // the first fails
		}
		if d.rows[time.Second] != 0 || d.rows[2*time.Hour] != 0 || d.rows[time.Hour] != 1 {
			t.Errorf("left are %v, want only what is among the dead", d.rows)
		}
	})
}

func TestWalkable(t *testing.T) {
	t.Parallel()
	s := &Store{d: postgresDialect}
	for err, want := range map[error]bool{
		context.DeadlineExceeded: true,
		fmt.Errorf("outbox: %w", &net.OpError{Op: "write", Err: os.ErrDeadlineExceeded}): true,
		stateError("57014"): true,
		stateError("25006"): false,
		context.Canceled:    false,
		errors.New("other"): false,
	} {
		if got := s.walkable(t.Context(), err); got != want {
			t.Errorf("%v: %v", err, got)
		}
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if s.walkable(stopped, context.DeadlineExceeded) {
		t.Error("the caller has ended it")
	}
}

// stateError is an error of PostgreSQL's with that code.
type stateError string

func (e stateError) Error() string    { return string(e) }
func (e stateError) SQLState() string { return string(e) }
