package worker_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/retry"
	"github.com/ackbox/ackbox/worker"
)

// FailAction is given the cause, is called again when it fails, and the job is
// dead either way, with both errors.
func TestFailActionFails(t *testing.T) {
	calls := 0
	h := plain{
		func(context.Context, ackbox.Job) error { return retry.Permanent(errFailed) },
		func(ctx context.Context, job ackbox.Job, cause error) error {
			calls++
			if run, ok := ackbox.RunFrom(ctx); !ok || !errors.Is(run.Cause, errFailed) || run.Job.ID != job.ID || !errors.Is(cause, errFailed) {
				t.Errorf("FailAction runs with %+v, cause %v", run, cause)
			}
			if calls == 2 {
				panic("alarm bell broken")
			}
			return errors.New("pager down")
		},
	}
	run(t, worker.Config{}, h, func(b *bench) {
		b.deliver(job("j"))
		b.pass(5 * time.Second)
		b.expect(`j/1 dead charge=false after=0s "failed\nFailAction failed 3 times: pager down"`, "ack j")
		if s := b.worker.Stats(); calls != 3 || s.Dead != 1 || s.InHand != 0 {
			t.Errorf("%d calls, stats %+v", calls, s)
		}
	})
}

// An outage of the ledger uses up no call of FailAction, however long it lasts.
func TestFailActionDuringAnOutage(t *testing.T) {
	down := errors.New("database is down")
	calls, up := 0, false
	var cut func() // the ledger
	h := plain{
		func(context.Context, ackbox.Job) error { return retry.Permanent(errFailed) },
		func(context.Context, ackbox.Job, error) error {
			calls++
			if !up {
				cut()
				return down
			}
			return nil
		},
	}
	for name, cutting := range map[string]func(*ledger){
		"away":      func(l *ledger) { l.cut(down) },
		"read-only": func(l *ledger) { l.hold = func(core.Holding) (core.Verdict, error) { return 0, down } },
	} {
		calls, up = 0, false
		run(t, worker.Config{FailActionAttempts: 1}, h, func(b *bench) {
			cut = func() { cutting(b.ledger) }
			b.deliver(job("j"))
			b.pass(4 * time.Minute)
			if calls != 1 {
				t.Errorf("%s: FailAction was called %d times in vain", name, calls)
			}
			b.expect()
			up = true
			b.ledger.recover()
			b.pass(time.Minute)
			b.expect(`j/1 dead charge=false after=0s "failed"`, "ack j")
		})
	}
	// It goes back when the worker stops meanwhile: to the broker, since the ledger
	// cannot be told.
	up = false
	run(t, worker.Config{}, h, func(b *bench) {
		cut = func() { b.ledger.cut(down) }
		b.deliver(job("j"))
		b.stop()
		b.pass(time.Minute)
		b.expect("requeue j")
	})
}

// FailAction is not called for a job that is finished already, whoever did it, nor for
// one that another instance has; and people hear of the error that came too late.
func TestFailActionOfWhatIsNotOurs(t *testing.T) {
	for finished, told := range map[core.Verdict]bool{core.Stale: true, core.Held: false, core.Missing: false} {
		h := plain{
			func(context.Context, ackbox.Job) error { return retry.Permanent(errFailed) },
			func(context.Context, ackbox.Job, error) error {
				t.Errorf("%v: FailAction was called", finished)
				return nil
			},
		}
		run(t, worker.Config{}, h, func(b *bench) {
			b.ledger.set(func(l *ledger) { l.hold = verdict(finished) })
			b.deliver(job("j"))
			b.pass(time.Second)
			b.expect("ack j")
			if s := b.worker.Stats(); s.Dead != 0 || s.Skipped+s.Missing != 1 {
				t.Errorf("%v: %+v", finished, s)
			}
			if strings.Contains(b.log.String(), "a job is dead") || strings.Contains(b.log.String(), "after its job was finished") != told {
				t.Errorf("%v: the log says %s", finished, b.log)
			}
		})
	}
	// It may become so between two calls.
	calls := 0
	var l *ledger
	h := plain{
		func(context.Context, ackbox.Job) error { return retry.Permanent(errFailed) },
		func(context.Context, ackbox.Job, error) error {
			calls++
			l.set(func(l *ledger) { l.hold = verdict(core.Stale) })
			return errFailed
		},
	}
	run(t, worker.Config{}, h, func(b *bench) {
		l = b.ledger
		b.deliver(job("j"))
		b.pass(time.Minute)
		b.expect("ack j")
		if calls != 1 {
			t.Errorf("FailAction was called %d times", calls)
		}
	})
}

// A FailAction that ends its goroutine has failed; Consume does not run again for it.
func TestGoexitInFailAction(t *testing.T) {
	consumed, calls := 0, 0
	h := plain{
		func(context.Context, ackbox.Job) error { consumed++; return retry.Permanent(errFailed) },
		func(context.Context, ackbox.Job, error) error { calls++; runtime.Goexit(); return nil },
	}
	run(t, worker.Config{}, h, func(b *bench) {
		b.deliver(job("j"))
		b.pass(time.Minute)
		b.expect(`j/1 dead charge=false after=0s "failed\nFailAction failed 3 times: the handler ended its goroutine (runtime.Goexit)"`, "ack j")
		if consumed != 1 || calls != 3 {
			t.Errorf("Consume %d, FailAction %d", consumed, calls)
		}
	})
}
