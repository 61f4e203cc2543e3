package worker_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/worker"
)

// A worker of whom the ledger has not heard takes nothing in.
func TestNothingBeforeTheFirstBeat(t *testing.T) {
	cut := func(l *ledger) worker.Ledger {
		l.beat = func() (core.Census, error) { return core.Census{}, errors.New("away") }
		return l
	}
	runOn(t, cut, worker.Config{}, plain{}, func(b *bench) {
		b.pass(time.Minute)
		if n := b.diary.besides("consume"); n != 0 {
			t.Errorf("it has subscribed %d times", n)
		}
		b.ledger.recover()
		b.pass(6 * time.Second)
		if n := b.diary.besides("consume"); n != 1 {
			t.Errorf("it has subscribed %d times", n)
		}
	})
}

// It beats as long as it runs, its last jobs included, whatever handlers do; and says
// so when it cannot.
func TestHeartbeat(t *testing.T) {
	h := plain{consume: func(context.Context, ackbox.Job) error { time.Sleep(10 * time.Second); return nil }} // the bubble's
	run(t, worker.Config{}, h, func(b *bench) {
		b.deliver(job("j"))
		b.pass(time.Second)
		before := b.diary.besides("beat")
		b.end() // 9 s later
		if n := b.diary.besides("beat") - before; n != 3 {
			t.Errorf("%d beats in 9 s", n)
		}
		if b.diary.besides("leave") != 1 {
			t.Error("it has not left")
		}
	})
	run(t, worker.Config{}, plain{}, func(b *bench) {
		b.ledger.set(func(l *ledger) { l.beat = func() (core.Census, error) { return core.Census{}, errors.New("away") } })
		b.pass(time.Minute)
		if n := b.logged("level=WARN", "this worker lives", "error=away"); n != 1 {
			t.Errorf("%d lines in a minute: %s", n, b.log)
		}
	})
}

// Without a sweeper dead workers' jobs stay with them: that is told.
func TestNoSweeper(t *testing.T) {
	run(t, worker.Config{}, plain{}, func(b *bench) {
		b.ledger.set(func(l *ledger) { l.beat = func() (core.Census, error) { return core.Census{}, nil } })
		b.pass(50 * time.Second)
		if n := b.logged("sweeper"); n != 0 {
			t.Errorf("it is told too early: %s", b.log)
		}
		b.pass(10 * time.Minute)
		if n := b.logged("level=WARN", "no sweeper"); n != 1 {
			t.Errorf("%d lines in 11 minutes: %s", n, b.log)
		}
	})
}

// A job that the broker refused for too long is given up by a worker: FailAction is
// called, Consume is not.
func TestRefused(t *testing.T) {
	var causes []string
	h := plain{
		func(context.Context, ackbox.Job) error { t.Error("it ran"); return nil },
		func(_ context.Context, _ ackbox.Job, cause error) error {
			if causes = append(causes, cause.Error()); len(causes) == 1 {
				runtime.Goexit()
			}
			return nil
		},
	}
	run(t, worker.Config{Concurrency: 4}, h, func(b *bench) {
		var mu sync.Mutex
		limits := []int{}
		b.ledger.set(func(l *ledger) {
			l.refuse = func(limit int) ([]ackbox.Job, error) {
				mu.Lock()
				defer mu.Unlock()
				limits = append(limits, limit)
				if len(limits) > 1 {
					return nil, nil
				}
				a, other := job("a").Job, job("other").Job
				a.RefusedFor, other.Kind = 24*time.Hour, "other"
				return []ackbox.Job{a, other}, nil
			}
		})
		b.pass(9 * time.Second)
		b.expect(`a/1 dead charge=false after=0s "the broker refused it for 24h0m0s"`)
		mu.Lock()
		defer mu.Unlock()
		if len(limits) != 1 || limits[0] != 4 || len(causes) != 2 {
			t.Errorf("asked for %v, FailAction called with %q", limits, causes)
		}
		if s := b.worker.Stats(); s.Dead != 1 || s.InHand != 0 || s.UnknownKind != 1 {
			t.Errorf("%+v", s)
		}
	})
	// A stop leaves them where they are.
	var release chan struct{} // of the bubble
	run(t, worker.Config{Concurrency: 1}, blocking(&release), func(b *bench) {
		release = make(chan struct{})
		b.deliver(job("runs"))
		b.ledger.set(func(l *ledger) {
			l.refuse = func(limit int) ([]ackbox.Job, error) {
				if limit != 1 {
					t.Errorf("asked for %d", limit)
				}
				return []ackbox.Job{job("refused").Job}, nil
			}
		})
		b.pass(20 * time.Second)
		if s := b.worker.Stats(); s.InHand != 2 {
			t.Errorf("%+v", s)
		}
		b.stop()
		close(release)
		b.end()
		b.expect(`runs/1 done charge=false after=0s ""`, "ack runs")
	})
}

// What was on record for a worker that nobody could hear may have been taken back: as
// soon as it is heard again it says anew what it holds.
func TestHeldAnewAfterSilence(t *testing.T) {
	var release chan struct{} // of the bubble
	run(t, worker.Config{Concurrency: 1}, blocking(&release), func(b *bench) {
		release = make(chan struct{})
		b.deliver(job("runs"))
		b.deliver(job("waits"))
		b.pass(2 * time.Second)
		b.ledger.set(func(l *ledger) { l.beat = func() (core.Census, error) { return core.Census{}, errors.New("away") } })
		b.pass(8 * time.Second)
		b.ledger.recover()
		b.pass(5 * time.Second)
		b.held(2, "hold") // it was not silent for long enough
		b.ledger.set(func(l *ledger) { l.beat = func() (core.Census, error) { return core.Census{}, errors.New("away") } })
		b.pass(core.Silence + core.BeatInterval)
		b.ledger.recover()
		b.pass(5 * time.Second)
		b.held(2, "hold runs running=true")
		b.held(2, "hold waits running=false")
		close(release)
	})
}
