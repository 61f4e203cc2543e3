package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
)

// Retry parks a copy of d, a message that no row of the caller's ledger stands
// behind, in the broker, from where it comes back to its queue after delay. The
// pause is rounded up to the next of Config.RetryLadder, or down to one that is at most a
// fifth shorter; beyond the longest it is the longest. Where the broker refuses that
// pause's queue (somebody has declared it with other arguments) the nearest longer one
// serves, or else a shorter: a pause of 1 s becomes one of 5 s. That is logged once, and
// the refused queue is asked for again every Config.MaxBackoff. The copy keeps all
// properties and headers with their types (but see below) and carries d.Attempt and
// d.Strays, which the caller has raised already.
//
// nil means confirmed and routed: acknowledge d now. After an error d is
// untouched; requeue it after a pause. It is never waited for longer than
// Config.ConfirmTimeout. A crash between Retry and the acknowledgement
// duplicates the message, nothing loses it.
//
// The way back is RabbitMQ's dead-lettering upon a TTL. For quorum queues it is
// at-least-once (RabbitMQ 3.10 or newer): a message that cannot enter the work
// queue is kept and tried again after three minutes. For classic queues RabbitMQ
// offers only at-most-once: a work queue that is full or deleted at that moment
// loses it.
//
// Not copied: expiration, user-id, CC, and the broker's own notes on the first
// way (x-death, x-delivery-count).
func (b *Broker) Retry(ctx context.Context, d core.Delivery, delay time.Duration) error {
	q, err := b.queue(d.Queue)
	if err != nil {
		return err
	}
	var refused []error
	for _, rung := range b.rungsFor(q, delay) {
		name := retryName(q, rung)
		err := b.deposit(ctx, name, retryArgs(q, rung), copyOf(&d))
		if err == nil {
			b.refused.clear(name)
			return nil
		}
		refused = append(refused, err)
		if !permanent(err) || ctx.Err() != nil {
			break
		}
		b.refused.note(name, err)
	}
	return fmt.Errorf("rabbitmq: retry: %w", errors.Join(refused...))
}

// rungsFor lists the rungs in the order in which they are tried for a message of q: those
// whose queue was refused a moment ago come last, should no other serve.
func (b *Broker) rungsFor(q ackbox.Queue, delay time.Duration) []time.Duration {
	var now, last []time.Duration
	for _, rung := range rungsFor(b.cfg.RetryLadder, delay) {
		if b.refused.fresh(retryName(q, rung)) {
			last = append(last, rung)
		} else {
			now = append(now, rung)
		}
	}
	return append(now, last...)
}

func retryName(q ackbox.Queue, rung time.Duration) string {
	return q.Name + retryInfix + strconv.FormatInt(rung.Milliseconds(), 10)
}

// retryInfix stands in the names of retry queues between the work queue's and the
// pause.
const retryInfix = ".retry."

// rungsFor lists the rungs of the ascending ladder in the order in which they serve for
// delay: the one that it rounds up to (the longest, if it is beyond), then the longer
// ones, then the shorter. The others count where a rung's queue cannot be declared.
//
// What is up to a fifth above a rung takes that rung: it is a pause of that length with
// jitter, and half of all pauses of a second would become five otherwise.
func rungsFor(ladder []time.Duration, delay time.Duration) []time.Duration {
	at := slices.IndexFunc(ladder, func(rung time.Duration) bool { return delay <= rung+rung/5 })
	if at < 0 {
		at = len(ladder) - 1
	}
	shorter := slices.Clone(ladder[:at])
	slices.Reverse(shorter)
	return append(slices.Clone(ladder[at:]), shorter...)
}

// retryArgs are the arguments of a queue that gives messages back to q. The
// TTL is the queue's and not the messages', because RabbitMQ expires only at
// the head: a long pause would delay a shorter one behind it.
func retryArgs(q ackbox.Queue, rung time.Duration) amqp.Table {
	args := sideArgs(q)
	args[amqp.QueueMessageTTLArg] = rung.Milliseconds()
	args["x-dead-letter-exchange"] = ""
	args["x-dead-letter-routing-key"] = q.Name
	if q.Type == ackbox.Quorum {
		args["x-dead-letter-strategy"] = "at-least-once"
		args[amqp.QueueOverflowArg] = amqp.QueueOverflowRejectPublish // which at-least-once requires
	}
	return args
}

// deposit puts a copy into a retry or dead queue, confirmed and routed,
// declaring the queue first.
func (b *Broker) deposit(ctx context.Context, queue string, args amqp.Table, msg amqp.Publishing) error {
	ctx, cancel := context.WithTimeoutCause(ctx, b.cfg.ConfirmTimeout, errNoConfirm)
	defer cancel()
	g, err := b.publish.get(ctx, true)
	if err != nil {
		return err
	}
	if blocked, reason, _ := g.blocking(); blocked {
		return fmt.Errorf("the broker blocks publishers: %s", reason)
	}
	if err := msg.Headers.Validate(); err != nil {
		return fmt.Errorf("headers: %w", err)
	}
	// What a foreign producer filled to the brim has no room for our error.
	if limit := g.frameLimit(); propertiesSize(&msg) > limit {
		delete(msg.Headers, ackbox.HeaderError)
		if size := propertiesSize(&msg); size > limit {
			return fmt.Errorf("the headers have %d bytes: the connection's frames hold %d", size, limit)
		}
	}
	m := outgoing{key: queue, mandatory: true, message: msg}
	for try := range 2 {
		if err := b.ensureQueue(ctx, g, queue, args); err != nil {
			return err
		}
		o := b.publishOne(ctx, g, m)
		if o.Status == core.Acked {
			return nil
		}
		if o.Status != core.Returned || try > 0 {
			return fmt.Errorf("queue %s: %s: %s", queue, o.Status, o.Reason)
		}
		g.setDeclared(queue, false) // somebody has deleted it
	}
	return nil
}
