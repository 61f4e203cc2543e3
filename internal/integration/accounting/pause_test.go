//go:build unix

package accounting_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/outbox"
	"github.com/ackbox/ackbox/rabbitmq"
)

// A queue is paused under two workers and a dispatcher: within a beat its messages are back
// in the queue, what is not sent stays in the table, what runs is done and recorded. It
// goes on within a beat, too, and nothing was charged or ran twice.
func TestPauseOverAllInstances(t *testing.T) {
	t.Parallel()
	const prefetch, workers, later = 4, 2, 3
	const back = prefetch*workers - workers // of each worker's one runs
	s := newStage(t)
	open := make(chan struct{})
	blocks := newCalls(func(ctx context.Context, _ ackbox.Job) error { return until(ctx, open) })
	s.dispatch()
	mq := s.broker("first")
	for _, road := range []*rabbitmq.Broker{mq, s.broker("second")} {
		s.run("a worker", s.worker(road, map[string]*calls{"blocks": blocks}, slots(1, prefetch)).Run)
	}
	var ids []string
	for range prefetch * workers {
		ids = append(ids, s.enqueue("blocks"))
	}
	inQueue := func(want int) func() error {
		return func() error {
			n, err := mq.Waiting(s.ctx, ackbox.DefaultQueue)
			if err == nil && n != want {
				err = fmt.Errorf("%d messages wait in the queue, want %d", n, want)
			}
			return err
		}
	}
	s.sees("one runs in each worker", func() bool { return blocks.running() == workers })
	for _, id := range ids {
		s.sees("they are sent", func() bool { return s.entry(id).State == ackbox.Sent })
	}
	s.eventually("the workers have all of them", inQueue(0))
	var running []string
	for _, id := range ids {
		if blocks.of(id).consume > 0 {
			running = append(running, id)
		}
	}

	began := time.Now()
	s.must("pause", s.store.Pause(outbox.By(s.ctx, "ann"), ackbox.DefaultQueue, "the bank is away"))
	var kept []string
	for range later {
		kept = append(kept, s.enqueue("blocks"))
	}
	s.eventually("what waited is back in the queue", inQueue(back))
	t.Logf("what waited was back in the queue %v after the pause", time.Since(began).Round(10*time.Millisecond))
	close(open)
	s.final(running...)
	s.wait(core.BeatInterval) // in which nothing happens
	s.must("look into the queue", inQueue(back)())
	for _, id := range kept {
		if e := s.entry(id); e.State != ackbox.Pending {
			t.Errorf("a job of the paused queue is %s, want it to stay in the table", e.State)
		}
	}
	ran := 0
	for _, id := range append(ids, kept...) {
		ran += blocks.of(id).consume
	}
	if ran != workers {
		t.Errorf("%d jobs ran, want those alone that ran when the queue was paused, %d", ran, workers)
	}

	began = time.Now()
	s.must("resume", s.store.Resume(s.ctx, ackbox.DefaultQueue))
	s.final(append(ids, kept...)...)
	t.Logf("all was done %v after the queue went on", time.Since(began).Round(10*time.Millisecond))
	for _, id := range append(ids, kept...) {
		s.wants("a job", id, ackbox.Done, 1, blocks.of(id), count{1, 0, 1})
	}
}
