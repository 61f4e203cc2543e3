package memory

import (
	"errors"
	"fmt"
)

var errSettled = errors.New("the delivery is settled already")

// receipt implements [core.Receipt] for one delivery.
type receipt struct {
	broker   *Broker
	consumer *consumer
	message  *message
	settled  bool // guarded by the broker's mutex
}

// Ack makes the broker forget the message. It fails if the delivery was
// settled before, or if its subscription was cut: then the message is back in
// its queue.
func (r *receipt) Ack() error { return r.settle("ack", false) }

// Requeue puts the message at the head of its queue, with Redelivered set and
// Returns raised. It fails as Ack does.
func (r *receipt) Requeue() error { return r.settle("requeue", true) }

func (r *receipt) settle(what string, giveBack bool) error {
	b, c := r.broker, r.consumer
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case r.settled:
		return fmt.Errorf("memory: %s of message %s: %w", what, r.message.job.ID, errSettled)
	case c.ended != nil:
		return fmt.Errorf("memory: %s of message %s: %w", what, r.message.job.ID, c.ended)
	}
	r.settled = true
	delete(c.held, r)
	if giveBack {
		c.queue.giveBack(r.message)
	} else {
		c.queue.share() // there is room for another one
	}
	c.signal() // Consume may be waiting for the last receipt
	return nil
}
