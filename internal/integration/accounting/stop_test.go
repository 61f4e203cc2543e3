//go:build unix

package accounting_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/integration/netfault"
	"github.com/ackbox/ackbox/worker"
)

// A worker is told to stop while the broker is away, and its handlers return within
// the grace: what they did is recorded. The same Worker can run again.
func TestStopWithoutTheBroker(t *testing.T) {
	t.Parallel()
	const jobs = 20
	s := newStage(t)
	open := make(chan struct{})
	c := newCalls(func(ctx context.Context, _ ackbox.Job) error { return until(ctx, open) })
	s.dispatch()
	proxy := netfault.Start(t, hostOf(t, s.amqp))
	w := s.worker(s.brokerAt("worker", through(t, s.amqp, proxy)), map[string]*calls{"k": c},
		func(cfg *worker.Config) { cfg.Concurrency = jobs })
	run := s.run("the worker", w.Run)
	var ids []string
	for range jobs {
		ids = append(ids, s.enqueue("k"))
	}
	s.sees("all run", func() bool { return c.running() == jobs })
	s.must("take the broker away", proxy.Refuse())
	s.sees("the subscription is lost", func() bool { return s.log.lines("the subscription ended") > 0 })
	run.cancel()
	s.wait(300 * time.Millisecond) // whatever ends early has ended by then
	close(open)
	run.stop()
	for _, id := range ids {
		if !s.wants("recorded by a stop without a broker", id, ackbox.Done, 1, c.of(id), count{1, 0, 1}) {
			break
		}
	}

	s.must("give the broker back", proxy.Accept())
	run = s.run("the worker, once more", w.Run)
	id := s.enqueue("k")
	s.final(id)
	s.eventually("nothing is left in hand", func() error {
		if n := w.Stats().InHand; n > 0 {
			return fmt.Errorf("%d are", n)
		}
		return nil
	})
	run.stop()
	for _, id := range ids {
		if !s.wants("after all came again", id, ackbox.Done, 1, c.of(id), count{1, 0, 1}) {
			break
		}
	}
}
