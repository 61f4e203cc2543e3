//go:build unix

package accounting_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/testenv"
	"github.com/ackbox/ackbox/outbox"
	"github.com/ackbox/ackbox/worker"
)

// Jobs wait in a prefetch while the connection is closed again and again. They have
// not run, so they have not failed, whatever the broker counts.
func TestClosedConnectionsChargeNothing(t *testing.T) {
	t.Parallel()
	const closures = 11
	s := newStage(t)
	open := make(chan struct{})
	blocks := newCalls(func(ctx context.Context, _ ackbox.Job) error { return until(ctx, open) })
	plain := newCalls(nil)
	s.dispatch()
	p := newPrefetch(s.broker("worker"), "", nil)
	s.run("the worker", s.worker(p, map[string]*calls{"blocks": blocks, "plain": plain}, slots(1, 4)).Run)
	long := s.enqueue("blocks")
	s.sees("the long job runs", func() bool { return blocks.running() == 1 })
	once := s.enqueue("plain", outbox.MaxAttempts(1))
	often := s.enqueue("plain")
	for n := range closures {
		s.sees("both wait in the prefetch", func() bool { return p.came(once) > n && p.came(often) > n })
		testenv.Rabbit(t).CloseConnections()
	}
	s.sees("both came back", func() bool { return p.came(once) > closures && p.came(often) > closures })
	t.Logf("returns that the broker counted: %v", p.returns(once))
	close(open)
	s.final(long, once, often)
	s.wants("the long one", long, ackbox.Done, 1, blocks.of(long), count{1, 0, 1})
	s.wants("one that has one try", once, ackbox.Done, 1, plain.of(once), count{1, 0, 1})
	s.wants("one that has several", often, ackbox.Done, 1, plain.of(often), count{1, 0, 1})
}

// The same with workers that are stopped in peace. Beside them waits a message
// without a row, which RabbitMQ 4 drops at its twentieth return.
func TestGracefulStopsChargeNothing(t *testing.T) {
	t.Parallel()
	const stops = 22
	s := newStage(t)
	open, started := make(chan struct{}), make(chan struct{}, 100)
	blocks := newCalls(func(ctx context.Context, _ ackbox.Job) error {
		select {
		case started <- struct{}{}:
		default:
		}
		return until(ctx, open)
	})
	plain := newCalls(nil)
	handlers := map[string]*calls{"blocks": blocks, "plain": plain}
	s.dispatch()
	long := s.enqueue("blocks", outbox.MaxAttempts(1))
	once := s.enqueue("plain", outbox.MaxAttempts(1))
	s.sees("both are sent", func() bool { return s.entry(long).State == ackbox.Sent && s.entry(once).State == ackbox.Sent })
	const foreign = "foreign"
	s.publish(amqp.Publishing{MessageId: foreign, Type: "plain", Body: []byte(`{}`), DeliveryMode: amqp.Persistent})

	mq := s.broker("worker")
	p := newPrefetch(mq, long, started)
	for n := range stops {
		w := s.worker(p, handlers, slots(1, 8), func(cfg *worker.Config) { cfg.Grace = 300 * time.Millisecond })
		run := s.run("a worker", w.Run)
		s.eventually("all have come", func() error {
			for _, id := range []string{long, once} {
				if e := s.entry(id); e.State.Final() {
					t.Fatalf("after %d stops a job is %s: %s", n, e.State, e.LastError)
				}
			}
			if p.came(once) <= n || p.came(foreign) <= n || blocks.running() != 1 {
				return fmt.Errorf("after %d stops: the job %d, the message without a row %d times", n, p.came(once), p.came(foreign))
			}
			return nil
		})
		run.stop()
	}
	t.Logf("returns of the job: %v, of the message without a row: %v", p.returns(once), p.returns(foreign))
	close(open)
	s.run("the last worker", s.worker(mq, handlers, slots(1, 8)).Run)
	s.final(long, once)
	s.sees("the message without a row is done", func() bool { c := plain.of(foreign); return c.consume+c.fail > 0 })
	s.wants("the job that waited", once, ackbox.Done, 1, plain.of(once), count{1, 0, 1})
	if e := s.entry(long); e.State != ackbox.Done || e.Attempt != 1 || blocks.of(long).fail != 0 || blocks.of(long).atOnce != 1 {
		t.Errorf("the job that was interrupted %d times: %s at try %d, calls %+v", stops, e.State, e.Attempt, blocks.of(long))
	}
	if got := plain.of(foreign); got != (count{1, 0, 1}) {
		t.Errorf("the message without a row: calls %+v", got)
	}
	// One return for each stop, until a fresh message takes the place of one that came
	// back often: RabbitMQ 4 drops what has come back 20 times.
	for _, returns := range [][]int{p.returns(once), p.returns(foreign)} {
		if most := slices.Max(returns); most >= 12 {
			t.Errorf("a message had come back %d times before it was replaced", most)
		}
	}
	last := -1
	for _, n := range p.returns(once) {
		if n != 0 && n != last+1 {
			t.Errorf("one stop has cost several returns: %v", p.returns(once))
			break
		}
		last = n
	}
}

// publish sends a message of somebody else's to the queue.
func (s *stage) publish(m amqp.Publishing) {
	s.t.Helper()
	conn, err := amqp.Dial(s.amqp)
	s.must("connect to the broker", err)
	defer func() { _ = conn.Close() }() // what counts is the confirm
	ch, err := conn.Channel()
	s.must("open a channel", err)
	s.must("ask for confirms", ch.Confirm(false))
	confirm, err := ch.PublishWithDeferredConfirmWithContext(s.ctx, "", ackbox.DefaultQueue, true, false, m)
	s.must("publish", err)
	if ok, err := confirm.WaitContext(s.ctx); err != nil || !ok {
		s.t.Fatalf("the message is not confirmed: %v", err)
	}
}
