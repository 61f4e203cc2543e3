package rabbitmq

import (
	"context"
	"fmt"
	"slices"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
)

// Bounds of one look into a dead queue: what it has read it has in memory until its end.
const (
	maxLooked      = 10_000
	maxLookedBytes = 64 << 20
)

// Dead looks into a dead queue without changing it: it tells which messages filter
// chooses, up to limit of them, and how many there are. It is the dry run of
// [Broker.RequeueDead] and [Broker.DeleteDead].
//
// What it looks at is handed out to it and returned, as AMQP knows no other way: for that
// moment nobody else sees it. "<queue>.dead" bears any number of such looks. Of another
// system's quorum queue (filter.In) RabbitMQ 4 drops what has been returned 20 times; so
// what has been returned ten times is replaced there, before that, by a confirmed copy at
// the queue's end. No dead queue means that nothing was ever buried: an empty report and
// no error. ctx bounds the whole. Safe for concurrent use.
func (b *Broker) Dead(ctx context.Context, queue string, filter ackbox.DeadFilter, limit int) (ackbox.DeadReport, error) {
	var found ackbox.DeadReport
	err := b.browse(ctx, "look at dead messages", queue, filter, limit, func(br *browser, d amqp.Delivery, m ackbox.DeadMessage) error {
		found.Matched++
		if len(found.Messages) < limit {
			found.Messages = append(found.Messages, m)
		}
		return br.keep(ctx, d)
	}, func(br *browser) bool {
		found.Looked, found.Complete = br.looked, br.complete
		return false
	})
	return found, err
}

// browser reads a dead queue from its front. Whatever it has read and not settled goes
// back when it is closed.
type browser struct {
	b        *Broker
	g        *generation
	ch       *amqp.Channel
	from     string // the dead queue
	foreign  bool   // which is not ours
	looked   int
	bytes    int
	most     int // how many the queue had at first: what is added meanwhile is another look's
	complete bool
}

// browse calls chosen with each message of a dead queue that filter chooses, until it
// fails, has met its bounds or the queue ends, or done says so.
func (b *Broker) browse(ctx context.Context, what, queue string, filter ackbox.DeadFilter, limit int,
	chosen func(*browser, amqp.Delivery, ackbox.DeadMessage) error, done func(*browser) bool,
) error {
	q, err := b.queue(queue)
	if err != nil {
		return err
	}
	if limit < 0 {
		return fmt.Errorf("rabbitmq: %s: limit is %d: want 0 or more", what, limit)
	}
	if err := filter.Validate(); err != nil {
		return fmt.Errorf("rabbitmq: %s: %w", what, err)
	}
	br, err := b.newBrowser(ctx, q.Name, filter.In)
	if err != nil {
		return fmt.Errorf("rabbitmq: %s: %w", what, err)
	}
	// What is left of the queue goes back by the closing of the channel.
	defer br.g.hangUp(br.ch)
	for !done(br) && ctx.Err() == nil {
		d, err := br.next(ctx)
		if err != nil {
			if deleted(err) && !br.foreign {
				br.complete = true
				done(br)
				return nil
			}
			return fmt.Errorf("rabbitmq: %s: %w", what, err)
		}
		if d == nil {
			done(br)
			return nil
		}
		m := deadFrom(queue, d)
		if filter.Match(m) {
			err = chosen(br, *d, m)
		} else {
			err = br.keep(ctx, *d)
		}
		if err != nil {
			done(br)
			return fmt.Errorf("rabbitmq: %s: %w", what, err)
		}
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("rabbitmq: %s: %w", what, err)
	}
	return nil
}

func (b *Broker) newBrowser(ctx context.Context, queue, in string) (*browser, error) {
	br := &browser{b: b, from: queue + deadSuffix}
	if in != "" && in != br.from {
		if slices.Contains(b.Queues(), in) {
			return nil, fmt.Errorf("DeadFilter.In %q is a work queue: want a queue that dead messages are in", in)
		}
		br.from, br.foreign = in, true
	}
	g, err := b.controlling.get(ctx, true)
	if err != nil {
		return nil, err
	}
	br.g = g
	if br.ch, err = g.openChannel(ctx); err != nil {
		return nil, g.failed(ctx, "open channel", err)
	}
	return br, nil
}

// next reads one message; nil says that the queue has no more, or the look its bound.
func (br *browser) next(ctx context.Context) (*amqp.Delivery, error) {
	switch {
	case br.looked > 0 && br.looked == br.most:
		br.complete = true
		return nil, nil
	case br.looked == maxLooked || br.bytes >= maxLookedBytes:
		return nil, nil
	}
	d, err := within(ctx, br.g, func() (*amqp.Delivery, error) {
		d, ok, err := br.ch.Get(br.from, false)
		if !ok {
			return nil, err
		}
		return &d, err
	}, nil)
	switch {
	case err != nil:
		return nil, br.g.failed(ctx, "get", err)
	case d == nil:
		br.complete = true
		return nil, nil
	}
	if br.looked == 0 {
		br.most = 1 + int(d.MessageCount)
	}
	br.looked++
	br.bytes += len(d.Body)
	return d, nil
}

// maxForeignReturns is how often a message of somebody else's dead queue may have been
// returned before it is replaced.
const maxForeignReturns = rabbitReturns / 2

// rabbitReturns is how many RabbitMQ 4 bears where its owner says nothing.
const rabbitReturns = 20

// keep leaves a message where it is.
func (br *browser) keep(ctx context.Context, d amqp.Delivery) error {
	if !br.foreign || count(d.Headers["x-delivery-count"]) < maxForeignReturns {
		return nil
	}
	return br.move(ctx, d, br.from, sameAgain(d))
}

// move publishes msg, which stands for d, to a queue, and forgets d.
func (br *browser) move(ctx context.Context, d amqp.Delivery, queue string, msg amqp.Publishing) error {
	publishing, cancel := context.WithTimeoutCause(ctx, br.b.cfg.ConfirmTimeout, errNoConfirm)
	defer cancel()
	g, err := br.b.publish.get(publishing, true)
	if err != nil {
		return err
	}
	if o := br.b.publishOne(publishing, g, outgoing{key: queue, mandatory: true, message: msg}); o.Status != core.Acked {
		return fmt.Errorf("%s: %s", o.Status, o.Reason)
	}
	if err := d.Ack(false); err != nil { // it is in both
		return br.g.failed(ctx, "ack", err)
	}
	return nil
}

// sameAgain is d, to be published where it was.
func sameAgain(d amqp.Delivery) amqp.Publishing {
	headers := make(amqp.Table, len(d.Headers))
	for name, value := range d.Headers {
		if name != "x-delivery-count" && name != "x-acquired-count" && !special(name) {
			headers[name] = value
		}
	}
	return amqp.Publishing{
		Headers: headers, ContentType: d.ContentType, ContentEncoding: d.ContentEncoding, DeliveryMode: amqp.Persistent,
		Priority: d.Priority, CorrelationId: d.CorrelationId, ReplyTo: d.ReplyTo, MessageId: d.MessageId,
		Timestamp: d.Timestamp, Type: d.Type, AppId: d.AppId, Body: d.Body,
	}
}
