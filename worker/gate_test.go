package worker_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/worker"
)

// pause has the ledger say which queues are paused.
func (b *bench) pause(queues ...string) {
	b.ledger.set(func(l *ledger) {
		l.beat = func() (core.Census, error) { return core.Census{Sweepers: 1, Paused: queues}, nil }
	})
}

// halfMinute is a handler that takes half a minute.
var halfMinute = plain{consume: func(context.Context, ackbox.Job) error { time.Sleep(30 * time.Second); return nil }}

// Within a beat nothing of a paused queue is consumed: what waits goes back, what runs
// goes on and is recorded. It goes on within a beat, too, though the job still runs.
func TestPausedQueueStandsStill(t *testing.T) {
	run(t, worker.Config{Concurrency: 1, FlushInterval: time.Second}, halfMinute, func(b *bench) {
		b.deliver(job("runs"))
		b.deliver(job("waits"))
		b.pause("other", "default")
		b.pass(core.BeatInterval)
		b.expect("requeue waits")
		b.pass(core.BeatInterval)
		if n := b.diary.besides("consume default"); n != 1 {
			b.Errorf("subscribed %d times while the queue is paused, want once before", n)
		}
		b.pause()
		b.pass(core.BeatInterval)
		if n := b.diary.besides("consume default"); n != 2 {
			b.Errorf("subscribed %d times after the queue went on, want 2", n)
		}
		b.deliver(job("next"))
		b.expect()
		b.pass(25 * time.Second)
		b.expect(`runs/1 done charge=false after=0s ""`, "ack runs")
		b.pass(30 * time.Second)
		b.expect(`next/1 done charge=false after=0s ""`, "ack next")
		if paused, on := b.logged("a queue is paused", "default"), b.logged("a queue goes on", "default"); paused != 1 || on != 1 {
			b.Errorf("told %d times that it is paused and %d that it goes on, want each once", paused, on)
		}
	})
}

// A worker that starts while the queue is paused consumes nothing, and asks for no jobs
// that the broker refused.
func TestPausedFromTheStart(t *testing.T) {
	asked := 0
	made := func(l *ledger) worker.Ledger {
		l.beat = func() (core.Census, error) { return core.Census{Sweepers: 1, Paused: []string{"default"}}, nil }
		l.refuse = func(int) ([]ackbox.Job, error) { asked++; return nil, nil }
		return l
	}
	runOn(t, made, worker.Config{}, plain{}, func(b *bench) {
		b.pass(time.Minute)
		if n := b.diary.besides("consume"); n != 0 || asked != 0 {
			b.Errorf("subscribed %d times, asked %d times for refused jobs, want never", n, asked)
		}
		b.pause()
		b.pass(core.BeatInterval + 5*time.Second)
		if n := b.diary.besides("consume"); n != 1 || asked == 0 {
			b.Errorf("subscribed %d times, asked %d times for refused jobs", n, asked)
		}
	})
}

// While the ledger is away it stays as it was.
func TestPauseOutlastsAnOutage(t *testing.T) {
	run(t, worker.Config{}, plain{}, func(b *bench) {
		b.pause("default")
		b.pass(core.BeatInterval)
		b.ledger.cut(errors.New("no database"))
		b.pass(time.Minute)
		if n := b.diary.besides("consume"); n != 1 {
			b.Errorf("subscribed %d times, want once before the pause", n)
		}
		b.ledger.recover()
		b.pass(core.BeatInterval)
		if n := b.diary.besides("consume"); n != 2 {
			b.Errorf("subscribed %d times after it", n)
		}
	})
}

// What comes out of the broker when the queue is paused already goes back, and does not
// run, though a slot is free.
func TestLateDeliveryOfPausedQueue(t *testing.T) {
	run(t, worker.Config{Concurrency: 1}, halfMinute, func(b *bench) {
		b.deliver(job("runs"))
		b.pause("default")
		// The beat comes while the broker has this one in its hands.
		late := job("late")
		late.Receipt = &receipt{b: b.broker, id: "late"}
		b.broker.open.Add(1)
		hold := make(chan struct{})
		b.broker.hold.Store(&hold)
		go func() { b.broker.in <- late }()
		b.pass(core.BeatInterval)
		close(hold)
		b.pass(0)
		b.expect("requeue late")
		b.pass(30 * time.Second)
		b.expect(`runs/1 done charge=false after=0s ""`, "ack runs")
	})
}

// A worker whose queue is paused stops like any other.
func TestStopWhilePaused(t *testing.T) {
	run(t, worker.Config{Concurrency: 1, Grace: time.Minute}, halfMinute, func(b *bench) {
		b.deliver(job("runs"))
		b.pause("default")
		b.pass(core.BeatInterval)
		began := time.Now()
		b.end()
		if took := time.Since(began); took.Round(time.Second) != 27*time.Second {
			b.Errorf("it took %v, want what was left of the job, 27s", took)
		}
		b.expect(`runs/1 done charge=false after=0s ""`, "ack runs")
	})
}
