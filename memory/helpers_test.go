package memory_test

import (
	"context"
	"errors"
	"testing"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/memory"
)

const queue = ackbox.DefaultQueue

func newBroker(t *testing.T, cfg memory.Config) *memory.Broker {
	t.Helper()
	b, err := memory.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

// job is a message for the default queue that no ledger row stands behind.
func job(id string) ackbox.Job {
	return ackbox.Job{ID: id, Kind: "test", Queue: queue, RoutingKey: queue, Mandatory: true, Payload: []byte(id), Attempt: 1}
}

// publish fails the test unless every job is acked.
func publish(t *testing.T, b *memory.Broker, jobs ...ackbox.Job) {
	t.Helper()
	for i, o := range b.Publish(t.Context(), jobs) {
		if o.Status != core.Acked {
			t.Fatalf("job %s: %v %s, want acked", jobs[i].ID, o.Status, o.Reason)
		}
	}
}

func waiting(t *testing.T, b *memory.Broker, queue string) int {
	t.Helper()
	n, err := b.Waiting(t.Context(), queue)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// subscription is a Consume that runs until it is stopped or cut.
type subscription struct {
	stop       context.CancelFunc
	deliveries chan core.Delivery
	done       chan error
}

// subscribe consumes in a goroutine; deliveries wait in a channel.
func subscribe(t *testing.T, b *memory.Broker, prefetch int) subscription {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	s := subscription{stop: stop, deliveries: make(chan core.Delivery, 100), done: make(chan error, 1)}
	go func() {
		s.done <- b.Consume(ctx, queue, prefetch, func(d core.Delivery) { s.deliveries <- d })
	}()
	t.Cleanup(stop)
	return s
}

// closed waits for Consume to say that the broker was closed.
func (s subscription) closed(t *testing.T) {
	t.Helper()
	if err := <-s.done; !errors.Is(err, ackbox.ErrClosed) {
		t.Errorf("Consume: %v, want ErrClosed", err)
	}
}

// ids takes the deliveries that are there.
func (s subscription) ids() (ids []string) {
	for {
		select {
		case d := <-s.deliveries:
			ids = append(ids, d.ID)
		default:
			return ids
		}
	}
}
