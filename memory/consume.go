package memory

import (
	"context"
	"errors"
	"fmt"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
)

// consumer is one subscription: one call of Consume. Its fields below wake are
// guarded by the broker's mutex.
type consumer struct {
	queue    *queue
	prefetch int
	// wake tells the goroutine in Consume to look again. It holds one signal:
	// more would say the same.
	wake chan struct{}

	assigned ring[*message]    // chosen for this consumer, not yet handed out
	held     map[*receipt]bool // handed out, not yet settled
	draining bool              // ctx ended: no more intake
	ended    error             // why the subscription is over, once it is
}

// Consume subscribes to queue and calls handle for each delivery, one call at
// a time, in the caller's goroutine. Handle may block, and may settle the
// Receipt later from anywhere. At most prefetch deliveries (1 or more) are
// unsettled at any time. Consumers of one queue are served in turn.
//
// When ctx ends no further delivery is handed out; Consume waits until all
// that were are settled and returns nil. If the broker is away when Consume is
// called, it waits for it. It returns an error if it cannot subscribe (unknown
// queue, bad prefetch, broker closed) or if the broker goes away or is closed
// meanwhile: then what was not settled is delivered again, to whoever
// subscribes next.
func (b *Broker) Consume(ctx context.Context, queue string, prefetch int, handle func(core.Delivery)) error {
	c, err := b.subscribe(queue, prefetch)
	for errors.Is(err, errAway) {
		if err := b.Ready(ctx); err != nil {
			if ctx.Err() != nil {
				return nil // asked to stop with nothing in hand
			}
			return err
		}
		c, err = b.subscribe(queue, prefetch)
	}
	if err != nil {
		return err
	}
	defer b.unsubscribe(c) // a panicking handle must not take messages with it
	for {
		d, ok, err := b.next(ctx, c)
		if err != nil {
			return err
		}
		if !ok {
			return b.drain(c)
		}
		handle(d)
	}
}

func (b *Broker) subscribe(queue string, prefetch int) (*consumer, error) {
	q, err := b.queue(queue)
	if err != nil {
		return nil, err
	}
	if prefetch < 1 {
		return nil, fmt.Errorf("memory: prefetch is %d: want 1 or more", prefetch)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.unusable(); err != nil {
		return nil, fmt.Errorf("memory: consuming queue %q: %w", queue, err)
	}
	c := &consumer{
		queue:    q,
		prefetch: prefetch,
		wake:     make(chan struct{}, 1),
		held:     make(map[*receipt]bool),
	}
	q.addConsumer(c)
	return c, nil
}

// unsubscribe ends the subscription, if the broker has not, and gives back
// whatever c still has.
func (b *Broker) unsubscribe(c *consumer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c.queue.cut(ackbox.ErrClosed, c)
}

// next waits for c's next delivery; ok is false if ctx ended first.
func (b *Broker) next(ctx context.Context, c *consumer) (d core.Delivery, ok bool, err error) {
	for ctx.Err() == nil {
		m, r, err := b.take(c)
		if err != nil {
			return core.Delivery{}, false, err
		}
		if r != nil {
			d := m.delivery()
			d.Receipt = r
			return d, true, nil
		}
		select {
		case <-c.wake:
		case <-ctx.Done():
		}
	}
	return core.Delivery{}, false, nil
}

// take moves the next assigned message into the handler's hands. It returns a
// snapshot, since the message may be given back at any moment.
func (b *Broker) take(c *consumer) (message, *receipt, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c.ended != nil {
		return message{}, nil, c.lost()
	}
	if c.assigned.len() == 0 {
		return message{}, nil, nil
	}
	m := c.assigned.popFront()
	r := &receipt{broker: b, consumer: c, message: m}
	c.held[r] = true
	return *m, r, nil
}

// drain stops intake for c and waits until what was handed out is settled.
func (b *Broker) drain(c *consumer) error {
	b.mu.Lock()
	c.draining = true
	c.queue.giveBack(c.unassign()...)
	b.mu.Unlock()
	for {
		b.mu.Lock()
		open, ended := len(c.held), c.ended
		b.mu.Unlock()
		switch {
		case ended != nil:
			return c.lost()
		case open == 0:
			return nil
		}
		<-c.wake // a receipt was settled, or the broker cut the subscription
	}
}

// room reports whether c may get another message.
func (c *consumer) room() bool {
	return !c.draining && c.assigned.len()+len(c.held) < c.prefetch
}

// signal makes the goroutine in Consume look again. It never blocks.
func (c *consumer) signal() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// unassign takes the messages that were not handed out yet.
func (c *consumer) unassign() []*message {
	messages := make([]*message, 0, c.assigned.len())
	for c.assigned.len() > 0 {
		messages = append(messages, c.assigned.popFront())
	}
	return messages
}

// end ends the subscription and takes everything from it.
func (c *consumer) end(err error) []*message {
	c.ended = err
	messages := c.unassign()
	for r := range c.held {
		messages = append(messages, r.message)
	}
	clear(c.held)
	c.signal()
	return messages
}

// lost is the error of a subscription that was cut.
func (c *consumer) lost() error {
	return fmt.Errorf("memory: consuming queue %q: %w", c.queue.name, c.ended)
}
