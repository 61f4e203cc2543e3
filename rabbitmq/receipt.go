package rabbitmq

import (
	"errors"
	"fmt"
	"sync/atomic"

	amqp "github.com/rabbitmq/amqp091-go"
)

var errSettled = errors.New("rabbitmq: the delivery is settled already")

// receipt settles one delivery on the channel by which it came.
type receipt struct {
	sub      *subscription
	original amqp.Delivery
	settled  atomic.Bool
}

// Ack implements [ackbox.Receipt]. The error wraps amqp091-go's ErrClosed if
// the channel is gone.
func (r *receipt) Ack() error {
	return r.settle("ack", func() error { return r.original.Ack(false) })
}

// Requeue implements [ackbox.Receipt], like Ack.
func (r *receipt) Requeue() error {
	return r.settle("requeue", func() error { return r.original.Nack(false, true) })
}

func (r *receipt) settle(verb string, do func() error) error {
	if !r.settled.CompareAndSwap(false, true) {
		return fmt.Errorf("%s: %w", verb, errSettled)
	}
	// Settled even if it fails: then the channel is gone and the message with
	// it back in its queue.
	defer r.sub.settled()
	if err := do(); err != nil {
		return fmt.Errorf("rabbitmq: %s: %w", verb, err)
	}
	return nil
}
