package rabbitmq

import (
	"context"
	"errors"
	"fmt"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
)

// RequeueDead moves up to limit messages that filter chooses from a dead queue back to
// the work queue, in the queue's order, and reports how many. They have all their tries again:
// AttemptsBefore says how many they had. A message leaves the dead queue only
// after its copy is confirmed and routed, so an interruption can duplicate one but
// lose none. Where the work queue takes no more it stops with an error. A message that
// cannot be moved for what it is (its headers do not fit into a frame, say) stays, the
// others are moved, and the error tells of it. Where the look has met its bound before
// limit, that is an error, too. Where it ends at limit, a quorum queue may have what was
// passed over behind what an earlier look has passed over. No dead queue means that nothing was ever buried: 0 and no
// error. How far it looks, and how long: as [Broker.Dead]. Each message is bounded by
// Config.ConfirmTimeout.
func (b *Broker) RequeueDead(ctx context.Context, queue string, filter ackbox.DeadFilter, limit int) (moved int, err error) {
	br, err := b.browse(ctx, queue, filter, limit, func(br *browser, d amqp.Delivery, _ ackbox.DeadMessage) error {
		if err := br.place(ctx, queue, revived(queue, d)); err != nil {
			return err
		}
		moved++ // whether the ack arrives or not, it is in the work queue
		return br.forget(ctx, d)
	}, func() bool { return moved == limit })
	if err := errors.Join(err, br.behind(moved == limit)); err != nil {
		return moved, fmt.Errorf("rabbitmq: requeue dead: %w", err)
	}
	return moved, nil
}

// DeleteDead deletes up to limit messages that filter chooses from a dead queue, in the
// queue's order, and reports how many. It refuses an empty filter unless All is set. Otherwise
// as [Broker.RequeueDead].
func (b *Broker) DeleteDead(ctx context.Context, queue string, filter ackbox.DeadFilter, limit int) (deleted int, err error) {
	if err := filter.Deletes(); err != nil {
		return 0, fmt.Errorf("rabbitmq: delete dead: %w", err)
	}
	br, err := b.browse(ctx, queue, filter, limit, func(br *browser, d amqp.Delivery, _ ackbox.DeadMessage) error {
		if err := br.forget(ctx, d); err != nil {
			return err
		}
		deleted++
		return nil
	}, func() bool { return deleted == limit })
	if err := errors.Join(err, br.behind(deleted == limit)); err != nil {
		return deleted, fmt.Errorf("rabbitmq: delete dead: %w", err)
	}
	return deleted, nil
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
