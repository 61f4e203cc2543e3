//go:build unix

package accounting_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/integration/netfault"
	"github.com/ackbox/ackbox/internal/testenv/servers"
)

// A long job's worker loses its connection, so the broker hands the job's message
// to another. It is running, and the ledger knows by whom: it does not run twice.
func TestLostConnectionStartsNothingTwice(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	open := make(chan struct{})
	long := newCalls(func(ctx context.Context, _ ackbox.Job) error { return until(ctx, open) })
	handlers := map[string]*calls{"long": long}
	s.dispatch()
	proxy := netfault.Start(t, hostOf(t, s.amqp))
	first := s.worker(s.brokerAt("first", through(t, s.amqp, proxy)), handlers)
	s.run("the first worker", first.Run)
	id := s.enqueue("long")
	s.sees("it runs", func() bool { return long.running() == 1 })
	second := s.worker(s.broker("second"), handlers)
	s.run("the second worker", second.Run)
	s.wait(2500 * time.Millisecond) // it is on record within about a second
	proxy.Cut()
	s.sees("the message has come to one of them", func() bool {
		return second.Stats().Skipped > 0 || long.of(id).consume > 1 || first.Stats().Skipped > 0
	})
	s.wait(2 * time.Second)
	close(open)
	s.final(id)
	s.wants("the long job", id, ackbox.Done, 1, long.of(id), count{1, 0, 1})
}

// The broker takes a delivery away that is not acknowledged within 10 s, and closes
// its channel. Jobs of a minute run once for all that, and so do those that wait for
// their slots; the channels stay open.
func TestConsumerTimeout(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.amqp = impatientNode(t)
	long := newCalls(func(ctx context.Context, _ ackbox.Job) error {
		<-time.After(time.Minute)
		return ctx.Err()
	})
	short := newCalls(nil)
	handlers := map[string]*calls{"long": long, "short": short}
	s.dispatch()
	for n := range 2 {
		s.run("a worker", s.worker(s.broker(fmt.Sprint("worker", n)), handlers, slots(2, 6), ackSoon).Run)
	}
	var runs, waits []string
	for range 4 {
		runs = append(runs, s.enqueue("long"))
	}
	s.sees("all slots are taken", func() bool { return long.running() == 4 })
	for range 6 {
		waits = append(waits, s.enqueue("short"))
	}
	s.final(append(waits, runs...)...)
	for _, id := range runs {
		if !s.wants("one that ran for a minute", id, ackbox.Done, 1, long.of(id), count{1, 0, 1}) {
			break
		}
	}
	for _, id := range waits {
		if !s.wants("one that waited for a minute", id, ackbox.Done, 1, short.of(id), count{1, 0, 1}) {
			break
		}
	}
	if n := s.log.lines("PRECONDITION_FAILED") + s.log.lines("the subscription ended"); n > 0 {
		t.Errorf("%d lines tell of channels that were closed", n)
	}
}

// impatientNode starts a node of the test's own that looks at its channels twice a
// second, and closes those with a delivery that has had no answer for 10 s.
func impatientNode(t *testing.T) (url string) {
	t.Helper()
	node, err := servers.NewRabbitMQ(servers.RabbitMQOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := errors.Join(node.Stop(ctx), node.Remove()); err != nil {
			t.Error(err)
		}
	})
	if err := node.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := node.Ctl(t.Context(), "eval", `application:set_env(rabbit, consumer_timeout, 10000),
		application:set_env(rabbit, channel_tick_interval, 500).`); err != nil {
		t.Fatal(err)
	}
	return node.URL()
}
