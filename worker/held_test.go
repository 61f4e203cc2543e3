package worker_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/retry"
	"github.com/ackbox/ackbox/worker"
)

// run again nor returned, others run, and it goes on when a copy can be made.
func TestCopiesAreHeldBack(t *testing.T) {
	t.Parallel()
	ran := map[string]int{}
	h := plain{consume: func(_ context.Context, job ackbox.Job) error {
		ran[job.ID]++
		if job.ID == "good" {
			return nil
		}
		return errFailed
	}}
	run(t, worker.Config{Concurrency: 1}, h, func(b *bench) {
		b.broker.refuse(errors.New("the broker blocks publishers"))
		last := foreign("last")
		last.Attempt = 10
		b.deliver(foreign("m"))
		b.deliver(last)
		b.pass(5 * time.Minute)
		b.expect()
		b.deliver(foreign("good"))
		b.expect("ack good")
		if n := b.logged("held back"); n < 4 || n > 6 {
			t.Errorf("%d lines in five minutes", n)
		}
		b.broker.refuse(nil)
		b.pass(10 * time.Second)
		story := b.diary.String()
		for _, want := range []string{"park m/2 1h0m0s; ack m", `bury last/10 "failed"; ack last`} {
			if !strings.Contains(story, want) {
				t.Errorf("%s: want %s", story, want)
			}
		}
		b.diary.lines = nil
		if fmt.Sprint(ran) != "map[good:1 last:1 m:1]" {
			t.Errorf("ran %v", ran)
		}
		// At the end it goes back.
		b.broker.refuse(errors.New("the broker blocks publishers"))
		b.deliver(foreign("m"))
		b.pass(time.Minute)
		b.end()
		b.expect("requeue m")
	})
}

// A copy whose confirm does not come keeps no slot: others run meanwhile.
func TestSlowCopyKeepsNoSlot(t *testing.T) {
	t.Parallel()
	h := plain{consume: func(_ context.Context, job ackbox.Job) error {
		if job.ID == "good" {
			return nil
		}
		return errFailed
	}}
	run(t, worker.Config{Concurrency: 1}, h, func(b *bench) {
		b.broker.stall(time.Minute)
		b.deliver(foreign("m"))
		b.deliver(foreign("good"))
		b.pass(2 * time.Second)
		b.expect("ack good")
		b.pass(time.Minute)
		b.expect("park m/2 1h0m0s", "ack m")
	})
}

// A message that another copy has completed while FailAction ran is not dead.
func TestCompletedBesideFailAction(t *testing.T) {
	t.Parallel()
	done := false
	h := plain{
		consume:    func(context.Context, ackbox.Job) error { return retry.Permanent(errFailed) },
		failAction: func(context.Context, ackbox.Job, error) error { done = true; return ackbox.ErrSuperseded },
	}
	run(t, worker.Config{}, h, func(b *bench) {
		finished := core.Stale
		b.ledger.set(func(l *ledger) {
			l.received = func(ackbox.Job) (core.Verdict, error) {
				if done {
					return finished, nil
				}
				return core.Started, nil
			}
		})
		b.deliver(foreign("m"))
		b.expect("ack m")
		if s := b.worker.Stats(); s.Dead != 0 || s.Skipped != 1 {
			b.Errorf("%+v", s)
		}
		// What a FailAction before has finished may not be in the dead queue yet.
		done, finished = false, core.GivenUp
		b.deliver(foreign("m"))
		b.expect(`bury m/1 "failed"`, "ack m")
	})
}

// again and again as long as it does. One with a row goes on.
func TestUnknownKindLimit(t *testing.T) {
	t.Parallel()
	run(t, worker.Config{UnknownKindLimit: time.Hour}, plain{}, func(b *bench) {
		began := time.Now()
		seen := func(ago time.Duration) core.Delivery {
			d := foreign("m")
			d.Message.Type, d.FirstSeen = "new", began.Add(-ago)
			return d
		}
		rows := job("j")
		rows.Kind, rows.FirstSeen, rows.CreatedAt = "new", began.Add(-1000*time.Hour), began.Add(-1000*time.Hour)
		b.deliver(seen(time.Minute))
		b.deliver(seen(20 * time.Minute))
		b.deliver(seen(time.Hour))
		b.expect("park m/1 1m0s", "ack m", "park m/1 15m0s", "ack m", "park m/1 15m0s", "ack m")
		b.pass(time.Hour)
		b.deliver(seen(time.Second))
		b.deliver(rows)
		b.pass(time.Second)
		b.expect(`bury m/1 "no worker had a handler for kind \"new\" in 1h0m0s"`, "ack m",
			`j/1 pending charge=false after=15s "no handler for kind \"new\" in the worker that got it: waiting for one that knows it"`, "ack j")
		if n := b.logged("no handler is registered for this kind"); n != 2 {
			b.Errorf("told of %d times in an hour", n)
		}
		if s := b.worker.Stats(); s.UnknownKind != 5 || s.Dead != 1 {
			b.Errorf("%+v", s)
		}
	})
}

// in everything is another.
func TestMessageIsJoinedAfterALostSubscription(t *testing.T) {
	t.Parallel()
	ran := map[string]int{}
	var release chan struct{} // of the bubble
	h := plain{consume: func(_ context.Context, job ackbox.Job) error {
		ran[job.ID]++
		if job.ID == "slow" {
			<-release
			return nil
		}
		return errFailed
	}}
	again := func(id string) core.Delivery {
		d := foreign(id)
		d.Redelivered = true
		return d
	}
	run(t, worker.Config{}, h, func(b *bench) {
		release = make(chan struct{})
		b.broker.refuse(errors.New("the broker blocks publishers"))
		b.deliver(foreign("m"))
		b.deliver(foreign("slow"))
		b.broker.lost <- errors.New("connection lost")
		b.pass(time.Second)
		b.deliver(again("m"))
		b.deliver(again("slow"))
		b.pass(5 * time.Minute)
		b.broker.refuse(nil)
		b.pass(10 * time.Second)
		b.expect("requeue m", "requeue slow", "park m/2 1h0m0s", "ack m") // what was given back is gone: its channel is
		close(release)
		b.pass(time.Second)
		b.expect("ack slow")
		if fmt.Sprint(ran) != "map[m:1 slow:1]" {
			b.Errorf("ran %v", ran)
		}
		// Two that are equal: one is joined, the other runs.
		b.broker.refuse(errors.New("the broker blocks publishers"))
		b.deliver(foreign("m"))
		b.broker.lost <- errors.New("connection lost")
		b.pass(time.Second)
		b.deliver(again("m"))
		b.deliver(again("m"))
		b.pass(5 * time.Minute)
		if ran["m"] != 3 {
			b.Errorf("ran %v", ran)
		}
		b.broker.refuse(nil)
		b.pass(10 * time.Second)
		b.expect("requeue m", "park m/2 1h0m0s", "ack m", "park m/2 1h0m0s", "ack m")
	})
}

// While the broker is away, however long, a message that failed waits for it.
func TestHeldMessageDuringAnOutage(t *testing.T) {
	t.Parallel()
	ran := 0
	run(t, worker.Config{}, plain{consume: func(context.Context, ackbox.Job) error { ran++; return errFailed }}, func(b *bench) {
		b.broker.refuse(errors.New("the broker is away"))
		b.deliver(foreign("m"))
		for range 20 {
			b.broker.lost <- errors.New("the broker is away")
			b.pass(10 * time.Second)
		}
		b.broker.refuse(nil) // copies are possible before the message is here again
		b.pass(10 * time.Second)
		b.expect()
		again := foreign("m")
		again.Redelivered = true
		b.deliver(again)
		b.pass(10 * time.Second)
		b.expect("requeue m", "park m/2 1h0m0s", "ack m")
		if ran != 1 {
			b.Errorf("it ran %d times", ran)
		}
	})
}

// One that was held back and comes to another worker is not copied here as well.
func TestHeldMessageComesToAnother(t *testing.T) {
	t.Parallel()
	run(t, worker.Config{}, plain{consume: func(context.Context, ackbox.Job) error { return errFailed }}, func(b *bench) {
		b.broker.refuse(errors.New("the broker blocks publishers"))
		b.deliver(foreign("m"))
		b.broker.lost <- errors.New("connection lost")
		b.pass(2 * time.Minute)
		b.broker.refuse(nil)
		b.pass(time.Minute)
		b.expect("requeue m") // to a channel that is gone
	})
}
