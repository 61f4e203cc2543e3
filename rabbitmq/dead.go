package rabbitmq

import (
	"context"
	"fmt"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
)

// deadSuffix ends the name of the queue that keeps what was given up.
const deadSuffix = core.DeadSuffix

// Bury puts a copy of d, a message that no row of the caller's ledger stands behind
// and that was given up, into the durable queue "<queue>.dead", with cause (at most
// 1024 bytes of it) in the header [ackbox.HeaderError]. nil means confirmed and
// routed: acknowledge d now. Errors and what is copied: as in [Broker.Retry].
// Messages stay there until [Broker.RequeueDead] or an operator takes them.
func (b *Broker) Bury(ctx context.Context, d core.Delivery, cause string) error {
	q, err := b.queue(d.Queue)
	if err != nil {
		return err
	}
	msg := copyOf(&d)
	msg.Headers[ackbox.HeaderError] = truncate(cause)
	if err := b.deposit(ctx, q.Name+deadSuffix, deadArgs(q), msg); err != nil {
		return fmt.Errorf("rabbitmq: bury: %w", err)
	}
	return nil
}

func deadArgs(q ackbox.Queue) amqp.Table { return sideArgs(q) }

// RequeueDead moves at most limit messages from "<queue>.dead" back to the work
// queue, oldest first, and reports how many. Their attempt is reset to 1, but for
// a job that went astray: its row counts that. A message leaves the dead queue only
// after its copy is confirmed and routed, so an interruption can duplicate one but
// lose none. No dead queue means that nothing was ever buried: 0 and no error. ctx
// bounds the whole; each message is bounded by Config.ConfirmTimeout.
func (b *Broker) RequeueDead(ctx context.Context, queue string, limit int) (int, error) {
	q, err := b.queue(queue)
	if err != nil {
		return 0, err
	}
	if limit < 0 {
		return 0, fmt.Errorf("rabbitmq: requeue dead: limit is %d: want 0 or more", limit)
	}
	moved, err := b.requeueDead(ctx, q.Name, limit)
	if err != nil && !deleted(err) {
		return moved, fmt.Errorf("rabbitmq: requeue dead: %w", err)
	}
	return moved, nil
}

func (b *Broker) requeueDead(ctx context.Context, queue string, limit int) (moved int, err error) {
	g, err := b.controlling.get(ctx, true)
	if err != nil {
		return 0, err
	}
	ch, err := g.openChannel(ctx)
	if err != nil {
		return 0, g.failed(ctx, "open channel", err)
	}
	// A message that could not be moved goes back by the closing of the channel.
	defer g.hangUp(ch)
	for moved < limit && ctx.Err() == nil {
		d, err := within(ctx, g, func() (*amqp.Delivery, error) {
			d, ok, err := ch.Get(queue+deadSuffix, false)
			if !ok {
				return nil, err
			}
			return &d, err
		}, nil)
		switch {
		case err != nil:
			return moved, g.failed(ctx, "get", err)
		case d == nil:
			return moved, nil
		}
		if err := b.revive(ctx, queue, *d); err != nil {
			return moved, err
		}
		moved++ // whether the ack arrives or not, it is in the work queue
		if err := d.Ack(false); err != nil {
			return moved, g.failed(ctx, "ack", err)
		}
	}
	return moved, ctx.Err()
}

// revive publishes a copy of a buried message to its work queue.
func (b *Broker) revive(ctx context.Context, queue string, d amqp.Delivery) error {
	ctx, cancel := context.WithTimeoutCause(ctx, b.cfg.ConfirmTimeout, errNoConfirm)
	defer cancel()
	g, err := b.publish.get(ctx, true)
	if err != nil {
		return err
	}
	again := core.Delivery{Job: jobFrom(queue, &d), Receipt: &receipt{original: d}}
	if again.Ledger == "" {
		again.Attempt = 1
	} else {
		again.Strays = 1 // not its first copy: the ledger will be asked
	}
	msg := copyOf(&again)
	delete(msg.Headers, ackbox.HeaderError)
	o := b.publishOne(ctx, g, outgoing{key: queue, mandatory: true, message: msg})
	if o.Status != core.Acked {
		return fmt.Errorf("queue %s: %s: %s", queue, o.Status, o.Reason)
	}
	return nil
}
