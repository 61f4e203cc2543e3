package worker_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/worker"
)

// redelivered is a job that was in somebody's hands before.
func redelivered(id string, returns int) core.Delivery {
	d := job(id)
	d.Redelivered, d.Returns = true, returns
	return d
}

// What gathers while the ledger is asked goes in the next call.
func TestStartsAreAskedTogether(t *testing.T) {
	var answer chan struct{} // of the bubble
	run(t, worker.Config{}, plain{}, func(b *bench) {
		answer = make(chan struct{})
		b.ledger.set(func(l *ledger) {
			l.start = func(ackbox.Job) (core.Standing, error) {
				<-answer
				return core.Standing{Verdict: core.Started, Starts: 1}, nil
			}
		})
		for i := range 10 {
			b.deliver(redelivered(fmt.Sprint("j", i), 1))
		}
		close(answer)
		b.pass(time.Second)
		if n := strings.Count(b.diary.String(), " done "); n != 10 {
			t.Errorf("%d are done", n)
		}
		if len(b.ledger.starts) != 2 || len(b.ledger.starts[1]) != 9 {
			t.Errorf("the ledger was asked for %q", b.ledger.starts)
		}
	})
}

// However often a job comes back without having run, and be it to its last try, that
// charges nothing.
func TestReturnsChargeNothing(t *testing.T) {
	ran := 0
	h := plain{consume: func(context.Context, ackbox.Job) error { ran++; return nil }}
	d := redelivered("j", 15)
	d.MaxAttempts = 1
	run(t, worker.Config{}, h, func(b *bench) {
		b.deliver(d)
		b.pass(time.Second)
		b.expect(`j/1 done charge=false after=0s ""`, "ack j")
		if ran != 1 {
			t.Errorf("it ran %d times", ran)
		}
	})
}

// A job whose processes keep dying of it is charged a try.
func TestTooManyStarts(t *testing.T) {
	h := plain{
		func(context.Context, ackbox.Job) error { t.Error("it ran"); return nil },
		func(context.Context, ackbox.Job, error) error { t.Error("FailAction was called"); return nil },
	}
	run(t, worker.Config{}, h, func(b *bench) {
		b.ledger.set(func(l *ledger) { l.start = standing(core.Started, 21) })
		b.deliver(redelivered("j", 1))
		b.pass(time.Second)
		b.expect(`j/1 pending charge=true after=1h0m0s "started 20 times without an outcome: its workers may be dying of it"`, "ack j")
		// Nor is FailAction called for ever, should it be what they die of.
		b.ledger.set(func(l *ledger) { l.start = standing(core.Started, 41) })
		b.deliver(redelivered("k", 1))
		b.pass(time.Second)
		b.expect(`k/1 dead charge=false after=0s "started 40 times without an outcome; FailAction was not called again: its workers may be dying of it"`, "ack k")
	})
}

// Jobs that may be the death of their process run one at a time, and others beside them.
func TestSuspectsRunOneAtATime(t *testing.T) {
	var release chan struct{} // of the bubble
	var running, most atomic.Int64
	h := plain{consume: func(_ context.Context, job ackbox.Job) error {
		if job.ID == "other" {
			return nil
		}
		most.Store(max(most.Load(), running.Add(1)))
		defer running.Add(-1)
		<-release
		return nil
	}}
	run(t, worker.Config{}, h, func(b *bench) {
		release = make(chan struct{})
		b.ledger.set(func(l *ledger) { l.start = standing(core.Started, 11) })
		b.deliver(redelivered("a", 1))
		b.deliver(redelivered("b", 1))
		b.ledger.set(func(l *ledger) { l.start = standing(core.Started, 10) })
		b.deliver(redelivered("other", 1))
		b.pass(time.Second)
		story := b.diary.String()
		if !strings.Contains(story, "b/1 pending charge=false after=") || !strings.Contains(story, "ack b") || !strings.Contains(story, "other/1 done") {
			t.Error(story)
		}
		close(release)
		b.pass(time.Second)
		b.ledger.set(func(l *ledger) { l.start = standing(core.Started, 12) })
		b.deliver(redelivered("b", 1))
		b.pass(time.Second)
		if story := b.diary.String(); !strings.Contains(story, "a/1 done") || !strings.Contains(story, "b/1 done") || most.Load() != 1 {
			t.Errorf("%d at once: %s", most.Load(), story)
		}
	})
}

// What runs in another process that lives is the ledger's: the message is dropped.
func TestHeldElsewhere(t *testing.T) {
	run(t, worker.Config{}, plain{consume: func(context.Context, ackbox.Job) error { t.Error("it ran"); return nil }}, func(b *bench) {
		b.ledger.set(func(l *ledger) { l.start = standing(core.Held, 0) })
		b.deliver(redelivered("j", 1))
		b.expect("ack j")
		if s := b.worker.Stats(); s.Skipped != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// A row that is locked for a moment is asked for again; one that stays so keeps no
// slot.
func TestStartOfABusyRow(t *testing.T) {
	run(t, worker.Config{Concurrency: 1}, plain{}, func(b *bench) {
		b.ledger.set(func(l *ledger) { l.start = standing(core.Busy, 0) })
		b.deliver(redelivered("j", 1))
		b.pass(time.Second)
		b.expect()
		b.ledger.recover()
		b.pass(time.Second)
		b.expect(`j/1 done charge=false after=0s ""`, "ack j")
		b.ledger.set(func(l *ledger) { l.start = standing(core.Busy, 0) })
		b.deliver(redelivered("k", 1))
		b.pass(11 * time.Second)
		b.expect(`k/1 pending charge=false after=1s "its row could not be had in time"`, "ack k")
	})
}

// A message without a row that the broker would soon drop is replaced by a fresh copy,
// whether it waits or has a slot; only after many of those is a try charged.
func TestRenewal(t *testing.T) {
	var release chan struct{} // of the bubble
	ran := 0
	h := plain{consume: func(_ context.Context, job ackbox.Job) error {
		if ran++; job.ID == "runs" {
			<-release
		}
		return nil
	}}
	foreign := func(id string, returns, renewals int) core.Delivery {
		d := redelivered(id, returns)
		d.Ledger, d.Renewals = "", renewals
		return d
	}
	run(t, worker.Config{Concurrency: 1}, h, func(b *bench) {
		release = make(chan struct{})
		b.deliver(foreign("first", 10, 0))
		b.expect("renew first/1 0s for the 1th time", "ack first")
		b.deliver(job("runs"))
		b.deliver(foreign("waits", 10, 2))
		b.deliver(foreign("may wait", 9, 5))
		b.pass(2 * time.Second)
		b.expect("renew waits/1 0s for the 3th time", "ack waits")
		close(release)
		b.pass(time.Second)
		b.expect("park may wait/2 1h0m0s", "ack may wait", `runs/1 done charge=false after=0s ""`, "ack runs")
		if ran != 1 {
			t.Errorf("%d ran", ran)
		}
	})
}

// An operator's requeue gives a job its tries again, and its pauses from the first on;
// the tries go on counting.
func TestRequeuedTries(t *testing.T) {
	var asked []int
	h := plain{consume: func(context.Context, ackbox.Job) error { return errFailed }}
	again := job("j")
	again.Attempt, again.AttemptsBefore = 6, 5 // of 3 more
	last := again
	last.Attempt = 8
	run(t, worker.Config{Backoff: noting{&asked}}, h, func(b *bench) {
		b.deliver(again)
		b.pass(time.Second)
		b.expect(`j/6 pending charge=true after=1h0m0s "failed"`, "ack j")
		b.deliver(last)
		b.pass(time.Second)
		b.expect(`j/8 dead charge=false after=0s "failed"`, "ack j")
		synctest.Wait()
		if len(asked) != 1 || asked[0] != 1 {
			t.Errorf("pauses were asked for after the tries %v", asked)
		}
	})
}

// noting is a backoff that notes what it is asked.
type noting struct{ asked *[]int }

// Next implements retry.Policy.
func (n noting) Next(attempt int) time.Duration {
	*n.asked = append(*n.asked, attempt)
	return time.Hour
}
