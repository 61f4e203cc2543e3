package worker_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/worker"
)

// blocking is a handler that returns when a test says so.
func blocking(release *chan struct{}) plain {
	return plain{consume: func(context.Context, ackbox.Job) error { <-*release; return nil }}
}

// What waits or runs for a second goes on record, once for each; what is done by then
// costs the ledger nothing.
func TestHold(t *testing.T) {
	var release chan struct{} // of the bubble
	run(t, worker.Config{Concurrency: 1}, blocking(&release), func(b *bench) {
		release = make(chan struct{})
		b.deliver(job("a"))
		b.deliver(job("b"))
		b.pass(time.Minute)
		b.held(1, "hold a running=true")
		b.held(1, "hold b running=false")
		b.held(2, "hold")
		release <- struct{}{}
		b.pass(time.Minute)
		b.held(1, "hold b running=true")
		b.held(3, "hold")
		close(release)
		b.pass(time.Second)
		b.deliver(job("c"))
		b.pass(time.Minute)
		b.held(3, "hold")
	})
}

// held expects the ledger to have heard n times of something.
func (b *bench) held(n int, what string) {
	b.Helper()
	if got := b.diary.besides(what); got != n {
		b.Errorf("%d times %q, want %d: %q", got, what, n, b.diary.aside)
	}
}

// What comes back from somebody's hands goes on record at once: it may have been in
// nobody's for long.
func TestRedeliveredIsHeldAtOnce(t *testing.T) {
	var release chan struct{} // of the bubble
	run(t, worker.Config{Concurrency: 1}, blocking(&release), func(b *bench) {
		release = make(chan struct{})
		b.deliver(job("a"))
		b.deliver(redelivered("b", 1))
		b.held(1, "hold b running=false")
		close(release)
	})
}

// What the ledger does not want run leaves the line at once, and never runs.
func TestHeldElsewhereWhileItWaits(t *testing.T) {
	for _, v := range []core.Verdict{core.Held, core.Stale, core.Missing} {
		var release chan struct{} // of the bubble
		run(t, worker.Config{Concurrency: 1}, blocking(&release), func(b *bench) {
			release = make(chan struct{})
			b.ledger.set(func(l *ledger) {
				l.hold = func(h core.Holding) (core.Verdict, error) {
					if h.Running > 0 {
						return core.Recorded, nil
					}
					return v, nil
				}
			})
			b.deliver(job("runs"))
			b.deliver(job("waits"))
			b.pass(2 * time.Second)
			b.expect("ack waits")
			close(release)
			b.pass(time.Second)
			b.expect(`runs/1 done charge=false after=0s ""`, "ack runs")
			if s := b.worker.Stats(); s.Skipped+s.Missing != 1 || s.Done != 1 {
				t.Errorf("%v: %+v", v, s)
			}
		})
	}
}

// No message of a job stays unacknowledged for longer than AckWithin: one that runs is
// the ledger's alone, one that waits goes back there, or to the broker without a row.
func TestAckWithin(t *testing.T) {
	var release chan struct{} // of the bubble
	run(t, worker.Config{Concurrency: 1, JobTimeout: time.Hour}, blocking(&release), func(b *bench) {
		release = make(chan struct{})
		foreign := job("foreign")
		foreign.Ledger = ""
		for _, d := range []core.Delivery{job("runs"), job("waits"), foreign} {
			b.deliver(d)
			b.pass(10 * time.Second)
		}
		b.pass(5*time.Minute - 31*time.Second)
		b.expect()
		b.pass(32 * time.Second)
		b.expect("ack runs", `waits/1 pending charge=false after=0s ""`, "ack waits", "park foreign/1 0s", "ack foreign")
		// Its message comes again, because the acknowledgement was lost.
		again := redelivered("runs", 1)
		b.deliver(again)
		b.pass(2 * time.Second)
		b.expect("ack runs")
		if s := b.worker.Stats(); s.InHand != 1 {
			t.Errorf("%+v", s)
		}
		close(release)
		b.pass(time.Second)
		b.expect(`runs/1 done charge=false after=0s ""`)
	})
}

// A newer copy of what runs waits for it no longer than that, either; what has no row
// and runs cannot be had by anybody else, and stays.
func TestAckWithinOfCopies(t *testing.T) {
	var release chan struct{} // of the bubble
	run(t, worker.Config{JobTimeout: time.Hour}, blocking(&release), func(b *bench) {
		release = make(chan struct{})
		foreign := job("foreign")
		foreign.Ledger = ""
		b.deliver(foreign)
		b.deliver(job("j"))
		newer := job("j")
		newer.Resend = 1
		b.deliver(newer)
		b.pass(6 * time.Minute)
		b.expect("requeue j", "ack j")
		close(release)
		b.pass(time.Second)
		b.expect("ack foreign", `j/1 done charge=false after=0s ""`)
	})
}

// What is not on record is not acknowledged, however long it runs.
func TestNotAcknowledgedUnlessOnRecord(t *testing.T) {
	var release chan struct{} // of the bubble
	run(t, worker.Config{JobTimeout: time.Hour}, blocking(&release), func(b *bench) {
		release = make(chan struct{})
		b.ledger.set(func(l *ledger) { l.hold = verdict(core.Busy) })
		b.deliver(job("j"))
		b.pass(20 * time.Minute)
		b.expect()
		b.ledger.recover()
		b.pass(2 * time.Second)
		b.expect("ack j")
		close(release)
	})
}

// A stop whose grace is over gives back to the ledger what only the ledger has.
func TestStopOfWhatIsAcknowledged(t *testing.T) {
	h := plain{consume: func(ctx context.Context, _ ackbox.Job) error { <-ctx.Done(); return ctx.Err() }}
	run(t, worker.Config{JobTimeout: time.Hour, AckWithin: time.Second}, h, func(b *bench) {
		b.deliver(job("j"))
		b.pass(10 * time.Second)
		b.expect("ack j")
		b.end()
		b.expect(`j/1 pending charge=false after=0s ""`)
	})
}

// The ledger is told time and again what is in hand at all, so that it lets go of the
// rest; and hears of what went back to its queue unheard of.
func TestReconcile(t *testing.T) {
	var release chan struct{} // of the bubble
	run(t, worker.Config{Concurrency: 1}, blocking(&release), func(b *bench) {
		release = make(chan struct{})
		b.deliver(job("a"))
		b.deliver(job("b"))
		b.broker.lost <- errors.New("connection lost")
		synctest.Wait()
		b.expect("requeue b")
		b.held(1, "hold b running=false")
		b.pass(31 * time.Second)
		b.held(1, "reconcile [a]")
		close(release)
	})
}
