package retry_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/retry"
)

// epoch is the database's clock at minute 0 of these tests.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func minute(m float64) time.Time { return epoch.Add(time.Duration(m * float64(time.Minute))) }

// look is one sweep: what it finds, and what it is expected to do about it.
type look struct {
	at       float64 // minutes
	waiting  int     // messages in the queue; gone and failing as below
	frontier float64 // minutes; 0 for none
	resend   float64 // expected bound in minutes; 0 for no resend
}

const (
	gone    = -1 // the queue does not exist
	failing = -2 // the broker does not answer
	away    = -3 // the ledger does not answer
)

// StuckAfter is 8 minutes, so a suspicion settles in 2.
func TestResend(t *testing.T) {
	t.Parallel()
	tests := map[string][]look{
		"waiting, nothing finishes": {{at: 1, waiting: 5}, {at: 4, waiting: 5}, {at: 7, waiting: 5}, {at: 60, waiting: 1}},
		"empty":                     {{at: 1}, {at: 2}, {at: 3}, {at: 4, resend: 1}, {at: 5}, {at: 6}, {at: 7, resend: 4}},
		"one look is not enough":    {{at: 100}},
		"two looks neither":         {{at: 100}, {at: 200}},
		"settle time":               {{at: 1}, {at: 2.9}, {at: 2.95}, {at: 3}, {at: 3.3, resend: 1}},
		"a sweep right after":       {{at: 1}, {at: 3}, {at: 3.1}, {at: 3.2, resend: 1}},
		"came back":                 {{at: 1}, {at: 2, waiting: 1}, {at: 3}, {at: 4}, {at: 5}, {at: 6, resend: 3}},
		"came back at the end":      {{at: 1}, {at: 3}, {at: 4, waiting: 1}, {at: 5}, {at: 7}, {at: 8, resend: 5}},
		"deleted queue":             {{at: 1, waiting: gone}, {at: 3, waiting: gone}, {at: 4, waiting: gone, resend: 1}},
		"broker fails":              {{at: 1, waiting: failing}, {at: 3, waiting: failing}, {at: 4, waiting: failing}},
		"broker fails once":         {{at: 1}, {at: 3, waiting: failing}, {at: 4}, {at: 5, resend: 1}},
		"broker fails at the end":   {{at: 1}, {at: 3}, {at: 4, waiting: failing}, {at: 5, resend: 1}},
		"ledger away once":          {{at: 1}, {at: 3, waiting: away}, {at: 4}, {at: 5}, {at: 6}, {at: 7, resend: 4}},
		"ledger away at the end":    {{at: 1}, {at: 3}, {at: 60, waiting: away}, {at: 60.5}, {at: 61}, {at: 62.5}, {at: 63, resend: 60.5}},
		"worked off past it":        {{at: 20, waiting: 9, frontier: 18}, {at: 22, waiting: 9, frontier: 20}, {at: 23, waiting: 9, frontier: 21, resend: 10}},
		"frontier stands still":     {{at: 20, waiting: 9, frontier: 18}, {at: 22, waiting: 9, frontier: 18}, {at: 60, waiting: 9, frontier: 18, resend: 10}},
		"frontier is forgotten":     {{at: 20, waiting: 9, frontier: 18}, {at: 22, waiting: 9}, {at: 23, waiting: 9, frontier: 18}},
		"empty, then a backlog":     {{at: 20}, {at: 22, waiting: 9, frontier: 19}, {at: 23, waiting: 9, frontier: 20, resend: 11}},
		"backlog, then empty":       {{at: 20, waiting: 9, frontier: 18}, {at: 22}, {at: 23, resend: 10}},
	}
	for name, looks := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var now look
			var resent string
			s := &store{
				ages: func(context.Context) ([]core.QueueAge, error) {
					if now.waiting == away {
						return nil, errBase
					}
					age := core.QueueAge{Queue: "q", Now: minute(now.at)}
					if now.frontier > 0 {
						age.Frontier = minute(now.frontier)
					}
					return []core.QueueAge{age}, nil
				},
				resend: func(_ context.Context, queue string, before time.Time, idle time.Duration, limit int) (int, error) {
					resent = fmt.Sprintf("%s before %v idle %v limit %d", queue, before.Sub(epoch).Minutes(), idle, limit)
					return 3, nil
				},
			}
			b := waiting(func(string) (int, error) {
				switch now.waiting {
				case gone:
					return 0, fmt.Errorf("rabbitmq: %w", core.ErrNoQueue)
				case failing:
					return 0, errBase
				}
				return now.waiting, nil
			})
			sweeper := newSweeper(t, s, b, retry.Config{StuckAfter: 8 * time.Minute, Batch: 10})
			for _, now = range looks {
				resent = ""
				n, err := sweeper.Resend(t.Context())
				want, wantN := "", 0
				if now.resend > 0 {
					want, wantN = fmt.Sprintf("q before %v idle 8m0s limit 10", now.resend), 3
				}
				if resent != want || n != wantN {
					t.Errorf("minute %v: resent %q (%d jobs), want %q", now.at, resent, n, want)
				}
				failed := now.waiting == failing || now.waiting == away
				if failed != (err != nil) || failed && !errors.Is(err, errBase) || now.waiting == failing && !strings.Contains(err.Error(), "queue q") {
					t.Errorf("minute %v: error %v", now.at, err)
				}
			}
		})
	}
}

func TestResendGoesOnAfterAFailingQueue(t *testing.T) {
	t.Parallel()
	now := epoch
	resent := map[string]int{}
	s := &store{
		ages: func(context.Context) ([]core.QueueAge, error) {
			return []core.QueueAge{{Queue: "a", Now: now}, {Queue: "b", Now: now}, {Queue: "c", Now: now}}, nil
		},
		resend: func(_ context.Context, queue string, _ time.Time, _ time.Duration, _ int) (int, error) {
			resent[queue]++
			if queue == "b" {
				return 0, errors.New("no database")
			}
			return 1, nil
		},
	}
	b := waiting(func(queue string) (int, error) {
		if queue == "a" {
			return 0, errBase
		}
		return 0, nil
	})
	sweeper := newSweeper(t, s, b, retry.Config{})
	for range 2 {
		if n, err := sweeper.Resend(t.Context()); n != 0 || !errors.Is(err, errBase) {
			t.Errorf("got %d, %v", n, err)
		}
		now = now.Add(3 * time.Minute)
	}
	n, err := sweeper.Resend(t.Context())
	if n != 1 || err == nil || !strings.Contains(err.Error(), "queue a: base") || !strings.Contains(err.Error(), "queue b: no database") {
		t.Errorf("got %d, %v; want one job of queue c and both errors", n, err)
	}
	if resent["a"] != 0 || resent["b"] != 1 || resent["c"] != 1 {
		t.Errorf("resent %v", resent)
	}
}

func TestResendForgetsQueuesWithoutSentJobs(t *testing.T) {
	t.Parallel()
	now, present := epoch, true
	resent := 0
	s := &store{
		ages: func(context.Context) ([]core.QueueAge, error) {
			if !present {
				return nil, nil
			}
			return []core.QueueAge{{Queue: "q", Now: now}}, nil
		},
		resend: func(context.Context, string, time.Time, time.Duration, int) (int, error) { resent++; return 0, nil },
	}
	sweeper := newSweeper(t, s, waiting(nothingWaits), retry.Config{})
	for i := range 6 {
		present = i != 2
		if _, err := sweeper.Resend(t.Context()); err != nil {
			t.Fatal(err)
		}
		if want := max(0, i-4); resent != want {
			t.Errorf("after sweep %d: resent %d times, want %d", i, resent, want)
		}
		now = now.Add(3 * time.Minute)
	}
}

func TestResendFailsWithTheLedger(t *testing.T) {
	t.Parallel()
	s := &store{ages: func(context.Context) ([]core.QueueAge, error) { return nil, errBase }}
	if n, err := newSweeper(t, s, waiting(nothingWaits), retry.Config{}).Resend(t.Context()); n != 0 || !errors.Is(err, errBase) {
		t.Errorf("got %d, %v", n, err)
	}
}

// That a queue cannot say whether it is empty is told once, is no failure, and
// neither adds to a suspicion nor ends it.
func TestQueueThatCannotTell(t *testing.T) {
	t.Parallel()
	now, silent, resent := epoch, false, 0
	s := &store{
		ages: func(context.Context) ([]core.QueueAge, error) {
			return []core.QueueAge{{Queue: "q", Now: now}}, nil
		},
		resend: func(context.Context, string, time.Time, time.Duration, int) (int, error) {
			resent++
			return 1, nil
		},
	}
	b := waiting(func(string) (int, error) {
		if silent {
			return 0, fmt.Errorf("rabbitmq: %w", core.ErrUnsure)
		}
		return 0, nil
	})
	var log strings.Builder
	sweeper := newSweeper(t, s, b, retry.Config{StuckAfter: 8 * time.Minute, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	for _, look := range []struct {
		at     float64
		silent bool
		resent int
	}{{1, true, 0}, {2, false, 0}, {4.5, true, 0}, {5, true, 0}, {5.5, false, 0}, {6, false, 1}} {
		now, silent = minute(look.at), look.silent
		if _, err := sweeper.Resend(t.Context()); err != nil || resent != look.resent {
			t.Errorf("minute %v: resent %d times, %v; want %d", look.at, resent, err, look.resent)
		}
	}
	if n := strings.Count(log.String(), "taken for lost"); n != 2 {
		t.Errorf("it was said %d times, want once for each of 2 silences:\n%s", n, &log)
	}
}
