package retry_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ackbox/ackbox/retry"
)

func TestNewSweeperNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	s, b := &store{}, waiting(nothingWaits)
	tests := map[string]struct {
		store  retry.Store
		broker retry.Broker
		cfg    retry.Config
		want   []string
	}{
		"zero":          {s, b, retry.Config{}, nil},
		"no store":      {nil, b, retry.Config{}, []string{"the store is nil"}},
		"no broker":     {s, nil, retry.Config{}, []string{"the broker is nil"}},
		"bad specs":     {s, b, retry.Config{Rearm: "x", Resend: "* * *", Purge: "@every x"}, []string{`Config.Rearm "x"`, `Config.Resend "* * *"`, `Config.Purge "@every x"`}},
		"parser panics": {s, b, retry.Config{Rearm: "TZ=0"}, []string{`Config.Rearm "TZ=0" is no cron spec`}},
		"never comes":   {s, b, retry.Config{Purge: "0 0 30 2 *"}, []string{"its time never comes"}},
		"ranges": {
			s, b,
			retry.Config{StuckAfter: time.Millisecond, Retention: -1, DeadRetention: -1, InboxRetention: -1, Batch: -1},
			[]string{"Config.StuckAfter is 1ms: want at least 1s", "Config.Retention is -1ns", "Config.DeadRetention is -1ns", "Config.InboxRetention is -1ns", "Config.Batch is -1: want 1 to 10000"},
		},
		"large batch": {s, b, retry.Config{Batch: 10_001}, []string{"Config.Batch is 10001"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := retry.NewSweeper(tt.store, tt.broker, tt.cfg)
			if len(tt.want) == 0 && err != nil {
				t.Errorf("got %v, want no error", err)
			}
			for _, want := range tt.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want an error that says %q", err, want)
				}
			}
		})
	}
}

func TestRunSweepsBySchedule(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var rearmed, purged, dead, inbox, operations, carried, looked int
		s := &store{
			rearm: func(context.Context, string, int) (int, error) { rearmed++; return 0, nil },
			purge: func(_ context.Context, queue string, retention time.Duration, limit int) (int, error) {
				purged++
				if queue != "q" || retention != time.Hour || limit != 7 {
					t.Errorf("Purge(%s, %v, %d)", queue, retention, limit)
				}
				return 0, nil
			},
			purgeDead: func(_ context.Context, retention time.Duration, limit int) (int, error) {
				dead++
				if retention != retry.DefaultDeadRetention || limit != 7 {
					t.Errorf("PurgeDead(%v, %d)", retention, limit)
				}
				return 0, nil
			},
			purgeInbox: func(_ context.Context, retention time.Duration, limit int) (int, error) {
				inbox++
				if retention != retry.DefaultInboxRetention || limit != 7 {
					t.Errorf("PurgeInbox(%v, %d)", retention, limit)
				}
				return 0, nil
			},
			purgeOperations: func(retention time.Duration, limit int) (int, error) {
				operations++
				if retention != retry.DefaultOperationRetention || limit != 7 {
					t.Errorf("PurgeOperations(%v, %d)", retention, limit)
				}
				return 0, nil
			},
			carryOn: func(limit int) (int, bool, error) {
				carried++
				if limit != 7 {
					t.Errorf("CarryOn(%d)", limit)
				}
				return 0, false, nil
			},
			ages: nil,
		}
		b := waiting(func(string) (int, error) { looked++; return 0, nil })
		sweeper := newSweeper(t, s, b, retry.Config{Rearm: "@every 5s", Purge: "* * * * *", Retention: time.Hour, Batch: 7})
		ctx, stop := context.WithTimeout(t.Context(), 10*time.Minute+time.Second/2)
		defer stop()
		start := time.Now()
		if err := sweeper.Run(ctx); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took != 10*time.Minute+time.Second/2 {
			t.Errorf("Run took %v", took)
		}
		if rearmed != 120 || purged != 10 || dead != 10 || inbox != 10 || operations != 10 || looked != 0 {
			t.Errorf("rearmed %d times, purged %d, %d, %d and %d, looked %d; want 120, 10, 10, 10, 10 and 0", rearmed, purged, dead, inbox, operations, looked)
		}
		if carried != 200 {
			t.Errorf("looked %d times for operations, want 200", carried)
		}
	})
}

func TestRunSurvivesFailuresAndPanics(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		calls := 0
		s := &store{rearm: func(context.Context, string, int) (int, error) {
			calls++
			switch calls {
			case 1:
				panic("boom")
			case 2:
				return 0, errors.New("no database")
			}
			return 1, nil
		}}
		sweeper := newSweeper(t, s, waiting(nothingWaits), retry.Config{Rearm: "@every 1s", Logger: slog.New(slog.NewTextHandler(&log, nil))})
		ctx, stop := context.WithTimeout(t.Context(), 5*time.Second+time.Second/2)
		defer stop()
		if err := sweeper.Run(ctx); err != nil {
			t.Error(err)
		}
		if calls != 5 {
			t.Errorf("swept %d times in 5 s, want 5: a panic must not end a sweep for good", calls)
		}
		for _, want := range []string{"error=boom", `error="queue q: no database"`, "sweep=rearm jobs="} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("the log lacks %q:\n%s", want, &log)
			}
		}
	})
}

func TestRunAwaitsARunningSweepAndStartsNoneTwice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var running, most, finished atomic.Int32
		s := &store{rearm: func(ctx context.Context, _ string, _ int) (int, error) {
			most.Store(max(most.Load(), running.Add(1)))
			defer running.Add(-1)
			<-time.After(10 * time.Second)
			if ctx.Err() != nil {
				t.Error("a statement in hand was cancelled")
			}
			finished.Add(1)
			return retry.DefaultBatch, nil // full: but no further one once stopped
		}}
		sweeper := newSweeper(t, s, waiting(nothingWaits), retry.Config{Rearm: "@every 1s"})
		ctx, stop := context.WithTimeout(t.Context(), 5*time.Second)
		defer stop()
		start := time.Now()
		if err := sweeper.Run(ctx); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took != 11*time.Second || finished.Load() != 1 || most.Load() != 1 {
			t.Errorf("Run took %v, %d sweeps finished, %d ran at once; want 11s, 1 and 1", took, finished.Load(), most.Load())
		}
	})
}

func TestRunTwice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sweeper := newSweeper(t, &store{}, waiting(nothingWaits), retry.Config{})
		ctx, stop := context.WithCancel(t.Context())
		first := make(chan error)
		go func() { first <- sweeper.Run(ctx) }()
		synctest.Wait()
		if err := sweeper.Run(ctx); err == nil || !strings.Contains(err.Error(), "runs already") {
			t.Errorf("the second Run: %v", err)
		}
		stop()
		if err := <-first; err != nil {
			t.Error(err)
		}
		if err := sweeper.Run(ctx); err != nil { // again, once the first is over
			t.Error(err)
		}
	})
}

func TestSweepReportsWhatItDidBeforeItFailed(t *testing.T) {
	t.Parallel()
	rounds := 0
	s := &store{rearm: func(context.Context, string, int) (int, error) {
		if rounds++; rounds == 3 {
			return 0, errBase
		}
		return 10, nil
	}}
	sweeper := newSweeper(t, s, waiting(nothingWaits), retry.Config{Batch: 10})
	if n, err := sweeper.Rearm(t.Context()); n != 20 || !errors.Is(err, errBase) {
		t.Errorf("got %d, %v; want 20 and the error", n, err)
	}
}

// The purge sweep looks after a Store's partitions, and what fails there keeps
// nothing else from being done.
func TestPurgeLooksAfterPartitions(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	made, dropped := 0, []string(nil)
	var makeErr, dropErr error
	purged := 0
	s := &partitions{
		store: store{purge: func(context.Context, string, time.Duration, int) (int, error) { purged++; return 3, nil }},
		make: func(ahead int) (int, error) {
			if ahead != 3 {
				t.Errorf("partitions for %d days ahead, want 3", ahead)
			}
			return made, makeErr
		},
		drop: func(retention time.Duration) ([]string, map[string]string, error) {
			if retention != time.Hour {
				t.Errorf("retention %v, want Config.Retention", retention)
			}
			return dropped, map[string]string{"p0": "too full"}, dropErr
		},
	}
	sweeper := newSweeper(t, s, waiting(nothingWaits), retry.Config{Retention: time.Hour, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	sweep := func(want ...error) {
		t.Helper()
		n, err := sweeper.Purge(t.Context())
		if n != 3 {
			t.Errorf("purged %d, want 3", n)
		}
		for _, e := range want {
			if !errors.Is(err, e) {
				t.Errorf("got %v, want also %v", err, e)
			}
		}
		if len(want) == 0 && err != nil {
			t.Error(err)
		}
	}
	sweep()
	if log.Len() != 0 {
		t.Errorf("nothing happened, and it logged %s", &log)
	}
	made, dropped = 2, []string{"p1"}
	sweep()
	if got := log.String(); !strings.Contains(got, "made=2 dropped=[p1]") || !strings.Contains(got, "too full") {
		t.Errorf("it logged %s", got)
	}
	makeErr, dropErr = errBase, errors.New("drop")
	sweep(makeErr, dropErr)
	if purged != 3 {
		t.Errorf("rows were purged %d times, want 3", purged)
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if n, err := sweeper.Purge(stopped); n != 0 || err != nil {
		t.Errorf("told to stop: %d, %v", n, err)
	}
}
