package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"slices"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ackbox/ackbox"
)

// Dead looks into a dead queue without changing it: it tells which messages filter
// chooses, up to limit of them, and how many there are. It is the dry run of
// [Broker.RequeueDead] and [Broker.DeleteDead].
//
// What it looks at is handed out to it and returned at its end, in its order, as AMQP
// knows no other way: for that moment nobody else sees it. "<queue>.dead" bears any number
// of such looks. Another system's quorum queue (filter.In) drops what has come back more
// often than its limit (filter.DeliveryLimit); so what has come back half as often, or ten
// times, is replaced there by a confirmed copy at the queue's end. No dead queue means
// that nothing was ever buried: an empty report and no error.
//
// ctx bounds the whole, but for up to 10 s (2 s, if ctx has ended) in which what was looked
// at is given back; each answer of the broker is bounded by Config.DialTimeout. Safe for
// concurrent use: two looks at a time share the messages between them.
func (b *Broker) Dead(ctx context.Context, queue string, filter ackbox.DeadFilter, limit int) (ackbox.DeadReport, error) {
	var found ackbox.DeadReport
	room := maxReportBytes
	br, err := b.browse(ctx, queue, filter, limit, func(br *browser, d amqp.Delivery, m ackbox.DeadMessage) error {
		found.Matched++
		if len(found.Messages) < limit && room > 0 {
			found.Messages = append(found.Messages, m)
			room -= size(&d)
		}
		return br.keep(ctx, d)
	}, func() bool { return false })
	if br != nil {
		found.Looked, found.Complete = br.looked, br.complete
	}
	if err != nil {
		return found, fmt.Errorf("rabbitmq: look at dead messages: %w", err)
	}
	return found, nil
}

// maxReportBytes bounds what one report has in memory.
const maxReportBytes = 64 << 20

// browse calls chosen with each message of a dead queue that filter chooses, until it
// fails, enough says so, the queue ends or the look its bound. A message that is refused
// for itself ([errOfMessage]) stays, and the look goes on. browse returns how far it came, nil if
// nowhere.
func (b *Broker) browse(ctx context.Context, queue string, filter ackbox.DeadFilter, limit int,
	chosen func(*browser, amqp.Delivery, ackbox.DeadMessage) error, enough func() bool,
) (_ *browser, err error) {
	q, err := b.queue(queue)
	if err != nil {
		return nil, err
	}
	if limit < 0 {
		return nil, fmt.Errorf("limit is %d: want 0 or more", limit)
	}
	if err := filter.Validate(); err != nil {
		return nil, err
	}
	if slices.Contains(b.Queues(), filter.In) {
		return nil, fmt.Errorf("DeadFilter.In %q is a work queue: want a queue that dead messages are in", filter.In)
	}
	br, err := b.newBrowser(ctx, q.Name, filter)
	if err != nil {
		return nil, err
	}
	defer br.close(ctx)
	for !enough() && ctx.Err() == nil {
		d, err := br.next(ctx)
		switch {
		case deleted(err) && !br.foreign:
			br.complete = true
			return br, nil
		case err != nil:
			return br, err
		case d == nil:
			return br, br.refusals()
		}
		if m := deadFrom(queue, d); filter.Match(m) {
			err = chosen(br, *d, m)
		} else {
			err = br.keep(ctx, *d)
		}
		if errors.Is(err, errOfMessage) {
			br.refuse(*d, err)
			err = nil
		}
		if err != nil {
			return br, err
		}
	}
	return br, errors.Join(br.refusals(), ctx.Err())
}
