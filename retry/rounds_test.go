package retry_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/retry"
)

// backlog is how many rows each queue has for a sweep, and a log of the queues
// that were served.
type backlog struct {
	rows   map[string]int
	served []string
	took   time.Duration // each statement
}

func (b *backlog) take(queue string, limit int) (int, error) {
	time.Sleep(b.took) // of a bubble
	b.served = append(b.served, queue)
	n := min(limit, b.rows[queue])
	b.rows[queue] -= n
	return n, nil
}

// store returns a Store all of whose sweeps find the backlog.
func (b *backlog) store(now func() time.Time) *store {
	return &store{
		queues: slices.Sorted(maps.Keys(b.rows)),
		rearm:  func(_ context.Context, queue string, limit int) (int, error) { return b.take(queue, limit) },
		purge: func(_ context.Context, queue string, _ time.Duration, limit int) (int, error) {
			return b.take(queue, limit)
		},
		ages: func(context.Context) ([]core.QueueAge, error) {
			var ages []core.QueueAge
			for queue, n := range b.rows {
				if n > 0 {
					ages = append(ages, core.QueueAge{Queue: queue, Now: now()})
				}
			}
			return ages, nil
		},
		resend: func(_ context.Context, queue string, _ time.Time, _ time.Duration, limit int) (int, error) {
			return b.take(queue, limit)
		},
	}
}

// sweepsOf returns each sweep in the state in which it does something.
func sweepsOf(t *testing.T, b *backlog, cfg retry.Config) map[string]func(context.Context) (int, error) {
	t.Helper()
	offset := time.Duration(0)
	s := newSweeper(t, b.store(func() time.Time { return time.Now().Add(offset) }), waiting(nothingWaits), cfg)
	rows := maps.Clone(b.rows)
	for range 2 { // two looks
		if n, err := s.Resend(t.Context()); n != 0 || err != nil {
			t.Fatalf("resent %d, %v", n, err)
		}
		offset += retry.DefaultStuckAfter
	}
	refilled := func(sweep func(context.Context) (int, error)) func(context.Context) (int, error) {
		return func(ctx context.Context) (int, error) {
			b.rows, b.served = maps.Clone(rows), nil
			return sweep(ctx)
		}
	}
	return map[string]func(context.Context) (int, error){
		"rearm": refilled(s.Rearm), "purge": refilled(s.Purge), "resend": refilled(s.Resend),
	}
}

// However much there is, a sweep ends when it is done, and says that it goes on.
func TestSweepsGoOnWhileFull(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ rows, statements int }{{1, 1}, {9, 1}, {20, 3}, {5005, 501}} {
		synctest.Test(t, func(t *testing.T) {
			var log bytes.Buffer
			b := &backlog{rows: map[string]int{"q": tt.rows}, took: 50 * time.Millisecond}
			for name, sweep := range sweepsOf(t, b, retry.Config{Batch: 10, Logger: slog.New(slog.NewTextHandler(&log, nil))}) {
				log.Reset()
				if n, err := sweep(t.Context()); n != tt.rows || len(b.served) != tt.statements || err != nil {
					t.Errorf("%s: %d rows in %d statements, %v; want %d in %d", name, n, len(b.served), err, tt.rows, tt.statements)
				}
				// Every five seconds.
				if got, want := strings.Count(log.String(), "more remains"), (tt.statements-1)*50/5000; got != want {
					t.Errorf("%s: it said %d times that it goes on, want %d\n%s", name, got, want, &log)
				}
			}
		})
	}
}

// A queue with little is served in the first round, whatever others have.
func TestSweepsServeQueuesInTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &backlog{rows: map[string]int{"a": 3000, "b": 3000, "c": 5, "d": 3000}, took: 50 * time.Millisecond}
		for name, sweep := range sweepsOf(t, b, retry.Config{Batch: 10}) {
			if n, err := sweep(t.Context()); n != 9005 || err != nil {
				t.Errorf("%s: %d, %v", name, n, err)
			}
			if at := slices.Index(b.served, "c"); at > 3 {
				t.Errorf("%s: c was served after %d statements for others", name, at)
			}
			count := make(map[string]int)
			for i, queue := range b.served[:800] {
				count[queue]++
				if d := count["a"] - count["b"]; d < -2 || d > 2 {
					t.Fatalf("%s: after %d statements a had %d of them, b %d", name, i, count["a"], count["b"])
				}
			}
		}
	})
}

// What turns up beside a long sweep waits for a few seconds of it, not for its end.
func TestSweepSeesWhatTurnsUpMeanwhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &backlog{rows: map[string]int{"a": 100_000}, took: 50 * time.Millisecond}
		s := b.store(time.Now)
		sweeper := newSweeper(t, s, waiting(nothingWaits), retry.Config{Batch: 10})
		began, served := time.Now(), time.Duration(0)
		take := s.rearm
		s.rearm = func(ctx context.Context, queue string, limit int) (int, error) {
			if s.queues = []string{"a", "late"}; queue == "late" && served == 0 {
				served = time.Since(began)
			}
			return take(ctx, queue, limit)
		}
		if n, err := sweeper.Rearm(t.Context()); n != 100_000 || err != nil {
			t.Errorf("got %d, %v", n, err)
		}
		if served == 0 || served > 6*time.Second {
			t.Errorf("the other queue was served after %v of %v", served, time.Since(began))
		}
	})
}

// A sweep of millions ends when it is told to.
func TestSweepsEndWithTheirContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &backlog{rows: map[string]int{"q": 1e9}, took: 50 * time.Millisecond}
		for name, sweep := range sweepsOf(t, b, retry.Config{Batch: 10}) {
			ctx, stop := context.WithTimeout(t.Context(), 12*time.Second)
			began := time.Now()
			n, err := sweep(ctx)
			stop()
			if took := time.Since(began); err != nil || took > 12*time.Second+b.took || n != 10*len(b.served) {
				t.Errorf("%s: %d, %v after %v", name, n, err, took)
			}
		}
	})
}

// What is lost stays lost while it is sent again, though the queue fills with the
// copies, and though the ledger is away in between.
func TestResendGoesOnWithWhatItKnows(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &backlog{rows: map[string]int{"q": 300_000}, took: 20 * time.Millisecond}
		s := b.store(time.Now)
		list, calls := s.ages, 0
		s.ages = func(ctx context.Context) ([]core.QueueAge, error) {
			if calls++; calls == 4 {
				return nil, errBase
			}
			return list(ctx)
		}
		var idles []time.Duration
		take := s.resend
		s.resend = func(ctx context.Context, queue string, before time.Time, idle time.Duration, limit int) (int, error) {
			idles = append(idles, idle)
			return take(ctx, queue, before, idle, limit)
		}
		sweeper := newSweeper(t, s, waiting(func(string) (int, error) { return len(idles), nil }), retry.Config{})
		for i := range 2 {
			if n, err := sweeper.Resend(t.Context()); n != 0 || err != nil {
				t.Fatalf("look %d: %d, %v", i, n, err)
			}
			time.Sleep(3 * time.Minute)
		}
		// Two slices; the third look of this sweep fails.
		n, err := sweeper.Resend(t.Context())
		if !errors.Is(err, errBase) || n == 0 || n == 300_000 {
			t.Fatalf("got %d, %v; want a part and the error", n, err)
		}
		time.Sleep(20 * time.Minute)
		idles = idles[:1]
		more, err := sweeper.Resend(t.Context())
		if err != nil || n+more != 300_000 {
			t.Errorf("then %d of 300000, %v", n+more, err)
		}
		// Silence while the ledger was away counts for nothing.
		if idles[1] < retry.DefaultStuckAfter+20*time.Minute {
			t.Errorf("silent for %v is enough, though the ledger was away for 20m", idles[1])
		}
		if n, err := sweeper.Resend(t.Context()); n != 0 || err != nil {
			t.Errorf("and then %d, %v", n, err)
		}
	})
}

// One queue that fails keeps no other from being swept, and a ledger that is away
// is not asked for each of them.
func TestSweepGoesOnAfterAFailingQueue(t *testing.T) {
	t.Parallel()
	b := &backlog{rows: map[string]int{"a": 25, "b": 25, "c": 25}}
	s := b.store(time.Now)
	take, away := s.rearm, false
	asked := 0
	s.rearm = func(ctx context.Context, queue string, limit int) (int, error) {
		asked++
		if away || queue == "b" {
			return 0, errBase
		}
		return take(ctx, queue, limit)
	}
	sweeper := newSweeper(t, s, waiting(nothingWaits), retry.Config{Batch: 10})
	if n, err := sweeper.Rearm(t.Context()); n != 50 || !errors.Is(err, errBase) || !strings.Contains(err.Error(), "queue b") {
		t.Errorf("got %d, %v", n, err)
	}
	for i := range 100 {
		s.queues = append(s.queues, fmt.Sprint(i))
	}
	away, asked = true, 0
	if n, err := sweeper.Rearm(t.Context()); n != 0 || !errors.Is(err, errBase) || asked != 5 {
		t.Errorf("got %d, %v after %d statements, want 5", n, err, asked)
	}
}
