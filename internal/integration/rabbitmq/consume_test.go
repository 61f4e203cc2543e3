package rabbitmq_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/internal/testenv"
	"github.com/ackbox/ackbox/rabbitmq"
)

// The client library's own recovery loses C here: after a reconnect the tag of
// the old B is the tag of the new C.
func TestStaleAckNeverAcksAStranger(t *testing.T) {
	t.Parallel()
	p, via := proxied(t)
	f := ready(t, rabbitmq.Config{URL: via})
	batch := jobs(work, 3)
	f.publish(batch, core.Acked)
	s := f.subscribe(work, 3)
	a, b, c := s.next(), s.next(), s.next()
	f.must("Ack", a.Receipt.Ack())
	p.Cut()
	if err := s.returned(); err == nil {
		t.Fatal("Consume returned nil although its connection was cut")
	}
	s = f.subscribe(work, 3)
	again, stranger := s.next(), s.next()
	if again.ID != b.ID || stranger.ID != c.ID {
		t.Logf("came again in another order: %s, %s", again.ID, stranger.ID)
	}
	if again.First() || !again.Redelivered {
		t.Error("a message that came again looks like a first one")
	}
	for _, stale := range []error{b.Receipt.Ack(), c.Receipt.Requeue()} {
		if !errors.Is(stale, amqp.ErrClosed) && !errors.Is(stale, ackbox.ErrClosed) {
			t.Errorf("a stale receipt gives %v, want ErrClosed", stale)
		}
	}
	p.Cut() // gives back what is unacked: both must still be there
	_ = s.returned()
	s = f.subscribe(work, 3)
	f.must("Ack", s.next().Receipt.Ack())
	f.must("Ack", s.next().Receipt.Ack())
	f.waits(work, 0)
}

func TestQueueDeletedUnderAConsumer(t *testing.T) {
	t.Parallel()
	f := ready(t, rabbitmq.Config{Topology: ackbox.Topology{Queues: []ackbox.Queue{{Name: work}, {Name: "other", Type: ackbox.Classic}}}})
	f.publish(jobs(work, 1), core.Acked)
	s, other := f.subscribe(work, 1), f.subscribe("other", 1)
	held := s.next()
	testenv.Rabbit(t).DeleteQueue(work)
	if err := s.returned(); err == nil || !strings.Contains(err.Error(), work) {
		t.Errorf("Consume returned %v, want an error that names the queue", err)
	}
	eventually(t, func() bool { return held.Receipt.Ack() != nil }, func() any { return "the receipt works" })
	// On the same connection: the queue is declared anew, the neighbour lives.
	s = f.subscribe(work, 1)
	// Publishing would declare it, too. RabbitMQ lets the second of two who
	// declare a quorum queue at once go on before the first has started it, and
	// answers its consumer by closing the whole connection (541).
	eventually(t, func() bool {
		_, err := f.Waiting(f.ctx, work)
		return err == nil
	}, func() any { return "the queue is not declared" })
	job := jobs(work, 1)
	eventually(t, func() bool { return f.Publish(f.ctx, job)[0].Status == core.Acked }, func() any { return "not acked" })
	if got := s.next(); got.ID != job[0].ID {
		t.Error("another message came")
	}
	f.publish(jobs("other", 1), core.Acked)
	f.must("Ack", other.next().Receipt.Ack())
}

func TestEndOfIntakeDoesNotWaitForABlockedHandler(t *testing.T) {
	t.Parallel()
	f := ready(t, rabbitmq.Config{})
	f.publish(jobs(work, 5), core.Acked)
	release := make(chan struct{})
	s := f.subscribeFunc(work, 4, func(core.Delivery) { <-release })
	held := s.next()
	f.waits(work, 1)
	s.stop()
	f.waits(work, 4) // while the handler still blocks
	close(release)
	select {
	case err := <-s.done:
		t.Fatalf("Consume returned %v before its receipt was settled", err)
	case <-time.After(100 * time.Millisecond):
	}
	f.must("Requeue", held.Receipt.Requeue())
	f.must("Consume", s.returned())
	if len(s.deliveries) != 0 {
		t.Error("handed out after the end of intake")
	}
	f.waits(work, 5)
}

func TestPrefetchBoundsWhatIsOut(t *testing.T) {
	t.Parallel()
	f := ready(t, rabbitmq.Config{})
	f.publish(jobs(work, 10), core.Acked)
	s := f.subscribe(work, 4)
	for range 4 {
		s.next()
	}
	f.waits(work, 6)
	if len(s.deliveries) != 0 {
		t.Error("more than prefetch were handed out")
	}
	for _, prefetch := range []int{-1, 0, 65536} {
		if err := f.Consume(f.ctx, work, prefetch, nil); err == nil || !strings.Contains(err.Error(), "65535") {
			t.Errorf("prefetch %d: %v", prefetch, err)
		}
	}
}

// A quorum queue counts returns, and puts a returned message to an end of the
// queue that depends on version and arguments.
func TestRequeueIsCounted(t *testing.T) {
	t.Parallel()
	f := ready(t, rabbitmq.Config{})
	f.publish(jobs(work, 2), core.Acked)
	s := f.subscribe(work, 1)
	first := s.next()
	f.must("Requeue", first.Receipt.Requeue())
	d := s.next()
	t.Logf("a returned message goes to the end of a 3.10 quorum queue: %v", d.ID != first.ID)
	for d.ID != first.ID {
		f.must("Ack", d.Receipt.Ack())
		d = s.next()
	}
	if !d.Redelivered || d.Returns != 1 || d.First() {
		t.Errorf("redelivered %v, returns %d", d.Redelivered, d.Returns)
	}
	f.must("Ack", d.Receipt.Ack())
}

func TestConsumeWaitsForAServer(t *testing.T) {
	t.Parallel()
	p, via := proxied(t)
	f := ready(t, rabbitmq.Config{URL: via, DialTimeout: 200 * time.Millisecond})
	f.publish(jobs(work, 1), core.Acked)
	p.Freeze()
	s := f.subscribe(work, 1)
	eventually(t, func() bool { return f.logged("its consumer waits") > 0 }, func() any { return f.log })
	p.Thaw()
	f.must("Ack", s.next().Receipt.Ack())
	s.stop()
	f.must("Consume", s.returned())
	p.Freeze()
	p.Cut()
	s = f.subscribe(work, 1)
	s.stop()
	f.must("Consume that never connected", s.returned())
}
