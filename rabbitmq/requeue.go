package rabbitmq

import (
	"context"
	"fmt"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
)

// RequeueDead moves up to limit messages that filter chooses from a dead queue back to
// the work queue, in the queue's order, and reports how many. They have all their tries again:
// AttemptsBefore says how many they had. A message leaves the dead queue only
// after its copy is confirmed and routed, so an interruption can duplicate one but
// lose none. Where the work queue takes no more it stops with an error. No dead queue
// means that nothing was ever buried: 0 and no error. How far it looks: as
// [Broker.Dead]. ctx bounds the whole; each message is bounded by Config.ConfirmTimeout.
func (b *Broker) RequeueDead(ctx context.Context, queue string, filter ackbox.DeadFilter, limit int) (moved int, err error) {
	err = b.browse(ctx, "requeue dead", queue, filter, limit, func(br *browser, d amqp.Delivery, _ ackbox.DeadMessage) error {
		if err := br.move(ctx, d, queue, revived(queue, d)); err != nil {
			return fmt.Errorf("queue %s: %w", queue, err)
		}
		moved++
		return nil
	}, func(*browser) bool { return moved == limit })
	return moved, err
}

// DeleteDead deletes up to limit messages that filter chooses from a dead queue, in the
// queue's order, and reports how many. It refuses an empty filter unless All is set. Otherwise
// as [Broker.RequeueDead].
func (b *Broker) DeleteDead(ctx context.Context, queue string, filter ackbox.DeadFilter, limit int) (deleted int, err error) {
	if err := filter.Deletes(); err != nil {
		return 0, fmt.Errorf("rabbitmq: delete dead: %w", err)
	}
	err = b.browse(ctx, "delete dead", queue, filter, limit, func(br *browser, d amqp.Delivery, _ ackbox.DeadMessage) error {
		if err := d.Ack(false); err != nil {
			return br.g.failed(ctx, "ack", err)
		}
		deleted++
		return nil
	}, func(*browser) bool { return deleted == limit })
	return deleted, err
}

// revived is a message of a dead queue as it goes back to its work queue.
func revived(queue string, d amqp.Delivery) amqp.Publishing {
	again := core.Delivery{Job: deadFrom(queue, &d).Job, Receipt: &receipt{original: d}}
	_, tried := d.Headers[ackbox.HeaderAttempt]
	switch {
	case again.Ledger != "":
		again.Strays = 1 // not its first copy: the ledger will be asked
	case tried:
		again.AttemptsBefore = again.Attempt
		again.Attempt++
	}
	msg := copyOf(&again)
	for _, name := range []string{ackbox.HeaderError, ackbox.HeaderQueue, ackbox.HeaderKind, ackbox.HeaderDiedAt} {
		delete(msg.Headers, name)
	}
	if again.Ledger == "" && !tried {
		// Nobody here has seen it yet: its own count of tries counts.
		delete(msg.Headers, ackbox.HeaderAttempt)
		delete(msg.Headers, ackbox.HeaderFirstSeen)
	}
	return msg
}
