package rabbitmq

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ackbox/ackbox/internal/core"
)

var errSettled = errors.New("rabbitmq: the delivery is settled already")

// receipt settles one delivery on the channel by which it came.
type receipt struct {
	sub      *subscription
	original amqp.Delivery
	settled  atomic.Bool

	// Its neighbours among the unsettled; guarded by unsettled.mu.
	before, after *receipt
}

// Ack implements [core.Receipt]. The error wraps amqp091-go's ErrClosed if
// the channel is gone.
func (r *receipt) Ack() error {
	return r.settle("ack", func() error { return r.original.Ack(false) })
}

// Requeue implements [core.Receipt], like Ack. While the subscription is being ended
// it waits until the broker hands out nothing more.
func (r *receipt) Requeue() error {
	r.sub.awaitQuiet()
	return r.settle("requeue", func() error { return r.original.Nack(false, true) })
}

func (r *receipt) settle(verb string, do func() error) error {
	if !r.settled.CompareAndSwap(false, true) {
		return fmt.Errorf("%s: %w", verb, errSettled)
	}
	// Settled even if it fails: then the channel is gone and the message with
	// it back in its queue.
	defer r.sub.settled(1)
	if err := r.sub.unsettled.settle(r, do); err != nil {
		return fmt.Errorf("rabbitmq: %s: %w", verb, err)
	}
	return nil
}

// AckAll implements [core.BatchReceipt].
func (r *receipt) AckAll(others []core.Receipt) (rest []core.Receipt) {
	mine := make([]*receipt, 0, 1+len(others))
	add := func(other *receipt) {
		if other.settled.CompareAndSwap(false, true) {
			mine = append(mine, other)
		}
	}
	add(r)
	for _, other := range others {
		if o, ok := other.(*receipt); ok && o.sub == r.sub {
			add(o)
		} else {
			rest = append(rest, other)
		}
	}
	r.sub.g.sock.cork()
	r.sub.unsettled.ack(mine)
	r.sub.g.sock.uncork()
	r.sub.settled(len(mine))
	return rest
}

// unsettled are the receipts of a channel that are handed out and not settled,
// in the order of their delivery tags. There are no more than prefetch.
//
// Its lock is held while the broker is told, so that an ack of everything up to
// a tag never overtakes the answer for one of these.
type unsettled struct {
	mu          sync.Mutex
	first, last *receipt
}

func (u *unsettled) add(r *receipt) {
	u.mu.Lock()
	defer u.mu.Unlock()
	r.before = u.last
	if u.last == nil {
		u.first = r
	} else {
		u.last.after = r
	}
	u.last = r
}

func (u *unsettled) remove(r *receipt) {
	if r.before == nil {
		u.first = r.after
	} else {
		r.before.after = r.after
	}
	if r.after == nil {
		u.last = r.before
	} else {
		r.after.before = r.before
	}
	r.before, r.after = nil, nil
}

// forget drops a receipt that was not handed out after all.
func (u *unsettled) forget(r core.Receipt) {
	if r, ok := r.(*receipt); ok {
		u.mu.Lock()
		defer u.mu.Unlock()
		u.remove(r)
	}
}

func (u *unsettled) settle(r *receipt, tell func() error) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.remove(r)
	return tell()
}

// ack acknowledges receipts: those below every tag that stays unsettled with
// one message, the others one by one. Errors are dropped: they mean that the
// channel is gone, and the broker delivers again.
func (u *unsettled) ack(receipts []*receipt) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, r := range receipts {
		u.remove(r)
	}
	// The tag of an ack must be of a message that the broker still waits for,
	// so it is one of ours.
	var highest *receipt
	for _, r := range receipts {
		if u.below(r) && (highest == nil || r.original.DeliveryTag > highest.original.DeliveryTag) {
			highest = r
		}
	}
	if highest != nil {
		_ = highest.original.Ack(true)
	}
	for _, r := range receipts {
		if !u.below(r) {
			_ = r.original.Ack(false)
		}
	}
}

// below reports whether nothing that was delivered before r is unsettled.
func (u *unsettled) below(r *receipt) bool {
	return u.first == nil || r.original.DeliveryTag < u.first.original.DeliveryTag
}
