package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"maps"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
)

// maxLooked bounds one look: so many messages a broker has to keep in hand for it.
const maxLooked = 100_000

// browser reads a dead queue from its front. Whatever it has read and not settled goes
// back when it is closed.
type browser struct {
	b        *Broker
	g        *generation
	ch       *amqp.Channel
	from     string // the dead queue
	foreign  bool   // which is not ours
	bears    int    // returns, before a message of a foreign one is replaced
	looked   int
	most     int // how many the queue had at first: what is added meanwhile is another look's
	complete bool
	kept     []uint64 // the tags of what stays, ascending
	refused  int      // how many of them were to go
	why      error    // the first of them was not let
}

func (b *Broker) newBrowser(ctx context.Context, queue string, filter ackbox.DeadFilter) (*browser, error) {
	br := &browser{b: b, from: queue + deadSuffix}
	if filter.In != "" && filter.In != br.from {
		br.from, br.foreign, br.bears = filter.In, true, maxForeignReturns
		if filter.DeliveryLimit > 0 {
			br.bears = min(br.bears, filter.DeliveryLimit/2)
		}
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
	case br.looked == maxLooked:
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, br.b.cfg.DialTimeout)
	defer cancel()
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
	return d, nil
}

// maxForeignReturns is how often a message of somebody else's dead queue may have been
// returned before it is replaced, where its owner bears no fewer than RabbitMQ 4 does.
const maxForeignReturns = 10

// keep leaves a message where it is.
func (br *browser) keep(ctx context.Context, d amqp.Delivery) error {
	if !br.foreign || count(d.Headers["x-delivery-count"]) < br.bears {
		br.kept = append(br.kept, d.DeliveryTag)
		return nil
	}
	if err := br.place(ctx, br.from, sameAgain(d)); err != nil {
		return fmt.Errorf("message %.100q has come back %d times, and cannot be replaced before the broker drops it: %w",
			d.MessageId, count(d.Headers["x-delivery-count"]), err)
	}
	return br.forget(ctx, d)
}

// errOfMessage marks what is wrong with one message, and says nothing of the others.
var errOfMessage = errors.New("the message is refused for itself")

// refuse keeps a message that cannot be moved.
func (br *browser) refuse(d amqp.Delivery, why error) {
	br.kept = append(br.kept, d.DeliveryTag)
	br.refused++
	if br.why == nil {
		br.why = fmt.Errorf("message %.100q: %w", d.MessageId, why)
	}
}

// refusals says how many messages could not be moved.
func (br *browser) refusals() error {
	if br.refused == 0 {
		return nil
	}
	return fmt.Errorf("%d messages stay in queue %s: %w", br.refused, br.from, br.why)
}

// behind says that there are messages that a look had no more room for, though it had not
// enough yet.
func (br *browser) behind(enough bool) error {
	if enough || br == nil || br.looked < maxLooked || br.complete {
		return nil
	}
	return fmt.Errorf("queue %s has more than the %d messages that one look takes, and those behind were not looked at", br.from, maxLooked)
}

// place publishes msg to a queue. nil means confirmed and routed.
func (br *browser) place(ctx context.Context, queue string, msg amqp.Publishing) error {
	ctx, cancel := context.WithTimeoutCause(ctx, br.b.cfg.ConfirmTimeout, errNoConfirm)
	defer cancel()
	g, err := br.b.publish.get(ctx, true)
	if err != nil {
		return err
	}
	// More than a frame would cost the connection.
	if size, limit := propertiesSize(&msg), g.frameLimit(); size > limit {
		return fmt.Errorf("%w: the headers have %d bytes: the connection's frames hold %d", errOfMessage, size, limit)
	}
	switch o := br.b.publishOne(ctx, g, outgoing{key: queue, mandatory: true, message: msg}); {
	case o.Status == core.Acked:
		return nil
	case o.OfMessage:
		return fmt.Errorf("%w: %s", errOfMessage, o.Reason)
	default:
		return fmt.Errorf("queue %s: %s: %s", queue, o.Status, o.Reason)
	}
}

// forget takes a message out of its queue.
func (br *browser) forget(ctx context.Context, d amqp.Delivery) error {
	if err := d.Ack(false); err != nil {
		return br.g.failed(ctx, "ack", err)
	}
	return nil
}

// sameAgain is d, to be published where it was: with the broker's notes on how it came
// there, without those on how often it came back.
func sameAgain(d amqp.Delivery) amqp.Publishing {
	headers := maps.Clone(d.Headers)
	maps.DeleteFunc(headers, func(name string, _ any) bool {
		return name == "x-delivery-count" || name == "x-acquired-count" || special(name)
	})
	return amqp.Publishing{
		Headers: headers, ContentType: d.ContentType, ContentEncoding: d.ContentEncoding, DeliveryMode: amqp.Persistent,
		Priority: d.Priority, CorrelationId: d.CorrelationId, ReplyTo: d.ReplyTo, MessageId: d.MessageId,
		Timestamp: d.Timestamp, Type: d.Type, AppId: d.AppId, Body: d.Body,
	}
}

// size is about what d takes in memory.
func size(d *amqp.Delivery) int { return fixedHeader + tableSize(d.Headers) + len(d.Body) }
