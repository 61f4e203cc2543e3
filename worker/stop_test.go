package worker_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/worker"
)

// What handlers have done is recorded although the subscription is lost and the
// worker stops: the outcomes do not belong to the subscription.
func TestStopWhileTheSubscriptionIsLost(t *testing.T) {
	var release chan struct{} // of the bubble
	h := plain{consume: func(context.Context, ackbox.Job) error { <-release; return nil }}
	run(t, worker.Config{FlushInterval: 50 * time.Millisecond}, h, func(b *bench) {
		release = make(chan struct{})
		for i := range 5 {
			b.deliver(job(fmt.Sprint("j", i)))
		}
		b.broker.lost <- errors.New("connection lost")
		synctest.Wait()
		b.stop()
		close(release)
		b.end()
		if story := b.diary.String(); strings.Count(story, " done ") != 5 || strings.Contains(story, "requeue") {
			t.Error(story)
		}
		if n := b.diary.besides("leave"); n != 1 {
			t.Errorf("it left %d times", n)
		}
	})
}

// A Worker that runs again is another instance, with nothing in hand: what the first
// could not record comes again and is run.
func TestRunAgain(t *testing.T) {
	ran := 0
	h := plain{consume: func(context.Context, ackbox.Job) error { ran++; return nil }}
	run(t, worker.Config{}, h, func(b *bench) {
		b.ledger.cut(errors.New("database is down"))
		b.deliver(job("j"))
		b.end()
		b.expect("requeue j")
		if n := b.logged("level=WARN", "grace period is over", "k j"); n != 1 {
			t.Errorf("people are told %d times which jobs went back by force:\n%s", n, b.log)
		}
		if n := b.diary.besides("leave"); n != 0 {
			t.Error("it left although a job may be on record for it")
		}
		first := b.diary.aside[0]
		b.ledger.recover()
		b.diary.aside = nil
		stop := b.runAgain()
		if s := b.worker.Stats(); s.InHand != 0 {
			t.Errorf("%+v", s)
		}
		if b.diary.besides("beat") == 0 || b.diary.besides(first) > 0 {
			t.Errorf("%q after %q: want another instance", b.diary.aside, first)
		}
		b.deliver(job("j"))
		b.pass(time.Second)
		b.expect(`j/1 done charge=false after=0s ""`, "ack j")
		if ran != 2 {
			t.Errorf("it ran %d times", ran)
		}
		stop()
	})
}

// A job of which nobody knows whether the ledger has recorded its start goes back to
// the ledger: in its queue it would be held for running here.
func TestStopWhileTheStartIsUnsure(t *testing.T) {
	d := job("j")
	d.Redelivered = true
	run(t, worker.Config{}, plain{}, func(b *bench) {
		b.ledger.set(func(l *ledger) {
			l.start = func(ackbox.Job) (core.Standing, error) { return core.Standing{}, errors.New("connection lost") }
		})
		b.deliver(d)
		b.end()
		b.expect(`j/1 pending charge=false after=0s ""`, "ack j")
	})
	// One that nobody was asked about goes back to its queue.
	run(t, worker.Config{}, plain{}, func(b *bench) {
		b.ledger.set(func(l *ledger) { l.start = standing(core.Busy, 0) })
		b.deliver(d)
		b.end()
		b.expect("requeue j")
	})
}

// A worker that is told to stop waits for no second try to put a message aside.
func TestStopWhileACopyFails(t *testing.T) {
	h := plain{consume: func(context.Context, ackbox.Job) error { return errFailed }}
	foreign := job("m")
	foreign.Ledger = ""
	run(t, worker.Config{}, h, func(b *bench) {
		b.broker.refuse(errors.New("broker is away"))
		b.deliver(foreign)
		b.pass(10 * time.Second)
		began := time.Now()
		b.end()
		b.expect("requeue m")
		if took := time.Since(began); took > time.Second {
			t.Errorf("it took %v to stop", took)
		}
	})
}

// Parts say when they start and stop, and what they are.
func TestStartAndStopAreTold(t *testing.T) {
	run(t, worker.Config{}, plain{}, func(b *bench) {
		b.end()
		for _, what := range []string{"worker: started", "worker: stopped"} {
			if b.logged("level=INFO", what, "default (16 at once)", "kinds=[k]", "instance=") != 1 {
				t.Errorf("want %q, once, in %s", what, b.log)
			}
		}
	})
}
