package rabbitmq

import (
	"fmt"
	"maps"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/content"
	"github.com/ackbox/ackbox/internal/core"
)

const (
	maxShortString = 255 // AMQP's limit for names, among them header names
	// fixedHeader is what the frame of a message's properties takes beside their
	// texts: the frame's own octets, the class, the body's size, which properties
	// there are, and those of a fixed size.
	fixedHeader = 64
	// ownHeaders is what the headers take that we add to a job's.
	ownHeaders = 256
	// maxCause bounds the error text that travels with a buried message.
	maxCause = 1024
)

// jobMessage is job as it goes over the wire. A publish-only message carries
// nothing but the caller's headers.
func jobMessage(job *ackbox.Job) outgoing {
	headers := make(amqp.Table, len(job.Headers)+4)
	for name, value := range job.Headers {
		headers[name] = value
	}
	if job.Ledger != "" {
		headers[ackbox.HeaderLedger] = job.Ledger
		headers[ackbox.HeaderMaxAttempts] = int64(job.MaxAttempts)
		// What jobFrom assumes is left out: most messages are a first copy, and
		// every header is encoded, stored and decoded again.
		if job.Attempt != 1 {
			headers[ackbox.HeaderAttempt] = int64(job.Attempt)
		}
		if job.AttemptsBefore != 0 {
			headers[ackbox.HeaderAttemptsBefore] = int64(job.AttemptsBefore)
		}
		if job.Resend != 0 {
			headers[ackbox.HeaderResend] = int64(job.Resend)
		}
		if job.Key != "" {
			headers[ackbox.HeaderKey] = job.Key
		}
		if !job.SentAt.IsZero() {
			headers[ackbox.HeaderSentAt] = job.SentAt.UnixMilli()
			headers[ackbox.HeaderCreatedAt] = job.CreatedAt.UnixMilli()
		}
	}
	return outgoing{
		exchange:  job.Exchange,
		key:       job.RoutingKey,
		mandatory: job.Mandatory,
		message: amqp.Publishing{
			Headers:      headers,
			ContentType:  "application/json",
			DeliveryMode: amqp.Persistent,
			MessageId:    job.ID,
			Type:         job.Kind,
			Timestamp:    job.CreatedAt,
			Body:         job.Payload,
		},
	}
}

// refuse says why job must not be put on the wire, or nothing. What it catches
// would not be answered with an error for one message: a string or a table
// that does not fit its place ends the whole connection.
func (b *Broker) refuse(g *generation, job *ackbox.Job) string {
	if len(job.Payload) > b.cfg.MaxMessageBytes {
		return fmt.Sprintf("the payload has %d bytes, more than Config.MaxMessageBytes (%d)", len(job.Payload), b.cfg.MaxMessageBytes)
	}
	for _, s := range [...]struct{ what, value string }{
		{"exchange", job.Exchange}, {"routing key", job.RoutingKey}, {"ID", job.ID}, {"kind", job.Kind},
	} {
		if len(s.value) > maxShortString {
			return fmt.Sprintf("the %s has %d bytes: AMQP allows %d", s.what, len(s.value), maxShortString)
		}
	}
	size := fixedHeader + ownHeaders + len("application/json") + len(job.ID) + len(job.Kind) + len(job.Key)
	for name, value := range job.Headers {
		if special(name) {
			return fmt.Sprintf("the header %q is not one for values: the broker would route the message by it", name)
		}
		if len(name) > maxShortString {
			return fmt.Sprintf("the name of a header has %d bytes: AMQP allows %d", len(name), maxShortString)
		}
		size += len(name) + len(value) + 6 // length and type octets
	}
	if limit := g.frameLimit(); size > limit {
		return fmt.Sprintf("the headers have %d bytes: the connection's frames hold %d", size, limit)
	}
	return ""
}

// special reports that RabbitMQ takes a header for a list of further routing
// keys, and closes the channel upon any other value.
func special(name string) bool { return name == "CC" || name == "BCC" }

// frameLimit is how large a message's properties may be: they travel in one
// frame.
func (g *generation) frameLimit() int {
	if g.conn.Config.FrameSize <= 0 {
		return math.MaxInt
	}
	return g.conn.Config.FrameSize
}

// propertiesSize is the encoded size of all properties, or a bit more.
func propertiesSize(m *amqp.Publishing) int {
	size := fixedHeader + tableSize(m.Headers)
	for _, s := range [...]string{
		m.ContentType, m.ContentEncoding, m.CorrelationId, m.ReplyTo, m.Expiration, m.MessageId, m.Type, m.UserId, m.AppId,
	} {
		size += len(s)
	}
	return size
}

// tableSize is the encoded size of a header table, or a bit more.
func tableSize(v any) int {
	const overhead = 5 // a type octet and the longest length
	switch v := v.(type) {
	case string:
		return overhead + len(v)
	case []byte:
		return overhead + len(v)
	case amqp.Table:
		size := overhead
		for name, value := range v {
			size += 1 + len(name) + tableSize(value)
		}
		return size
	case []any:
		size := overhead
		for _, value := range v {
			size += tableSize(value)
		}
		return size
	}
	return overhead + 8
}

// jobFrom reads a delivery from queue. Nothing in a foreign message is
// trusted: a value of the wrong type counts as absent.
func jobFrom(queue string, d *amqp.Delivery) ackbox.Job {
	job := ackbox.Job{
		ID:             d.MessageId,
		Kind:           d.Type,
		Queue:          queue,
		Exchange:       d.Exchange,
		RoutingKey:     d.RoutingKey,
		Mandatory:      true,
		Payload:        d.Body,
		Headers:        words(d.Headers),
		Attempt:        max(1, count(d.Headers[ackbox.HeaderAttempt])),
		AttemptsBefore: count(d.Headers[ackbox.HeaderAttemptsBefore]),
		CreatedAt:      d.Timestamp,
	}
	if ledger, ok := d.Headers[ackbox.HeaderLedger].(string); ok && ledger != "" {
		job.Ledger = ledger
		job.MaxAttempts = count(d.Headers[ackbox.HeaderMaxAttempts])
		job.Resend = count(d.Headers[ackbox.HeaderResend])
		job.Key, _ = d.Headers[ackbox.HeaderKey].(string)
		if sent := sinceEpoch(d.Headers[ackbox.HeaderSentAt]); !sent.IsZero() {
			job.SentAt = sent
			job.CreatedAt = sinceEpoch(d.Headers[ackbox.HeaderCreatedAt])
		}
		return job
	}
	// A copy of ours came another way than its original.
	job.Exchange, job.RoutingKey = originalWay(d)
	if id, ok := d.Headers[ackbox.HeaderID].(string); ok && id != "" {
		job.ID = id
	}
	job.Message = messageFrom(d)
	return job
}

// originalWay is how the producer published what d is, or is a copy of.
func originalWay(d *amqp.Delivery) (exchange, key string) {
	exchange, isExchange := d.Headers[ackbox.HeaderExchange].(string)
	key, isKey := d.Headers[ackbox.HeaderRoutingKey].(string)
	if isExchange && isKey {
		return exchange, key
	}
	return d.Exchange, d.RoutingKey
}

// messageFrom is d as its producer said it.
func messageFrom(d *amqp.Delivery) *ackbox.Message {
	exchange, key := originalWay(d)
	return &ackbox.Message{
		Exchange:        exchange,
		RoutingKey:      key,
		ID:              d.MessageId,
		Type:            d.Type,
		AppID:           d.AppId,
		UserID:          d.UserId,
		CorrelationID:   d.CorrelationId,
		ReplyTo:         d.ReplyTo,
		ContentType:     d.ContentType,
		ContentEncoding: d.ContentEncoding,
		Expiration:      d.Expiration,
		Priority:        d.Priority,
		Timestamp:       d.Timestamp,
		Headers:         typed(d.Headers),
		Body:            d.Body,
	}
}

// count reads a number that cannot be negative; anything else is 0.
func count(v any) int {
	var n int64
	switch v := v.(type) {
	case byte:
		n = int64(v)
	case int8:
		n = int64(v)
	case int16:
		n = int64(v)
	case uint16:
		n = int64(v)
	case int32:
		n = int64(v)
	case uint32:
		n = int64(v)
	case int64:
		n = v
	}
	return int(min(max(n, 0), math.MaxInt32))
}

// copyOf is a persistent message with everything of d's original that
// describes the message: all properties and the header table with its types.
// Left behind is what belongs to its first way through the broker: expiration
// (it would empty the retry and dead queues), user-id (the broker demands that
// it is ours), CC (it would deliver to those queues again) and the broker's notes on that
// way, which would mislead on a copy: a quorum queue's delivery count of the original, or
// an x-death that makes the broker see a cycle and drop the copy.
func copyOf(d *core.Delivery) amqp.Publishing {
	var msg amqp.Publishing
	if r, ok := d.Receipt.(*receipt); ok {
		o := &r.original
		msg = amqp.Publishing{
			Headers:         maps.Clone(o.Headers),
			ContentType:     o.ContentType,
			ContentEncoding: o.ContentEncoding,
			Priority:        o.Priority,
			CorrelationId:   o.CorrelationId,
			ReplyTo:         o.ReplyTo,
			MessageId:       o.MessageId,
			Timestamp:       o.Timestamp,
			Type:            o.Type,
			AppId:           o.AppId,
			Body:            o.Body,
		}
	} else {
		// Somebody wrapped the receipt: the job is all there is.
		msg = jobMessage(&d.Job).message
	}
	if msg.Headers == nil {
		msg.Headers = make(amqp.Table, 2)
	}
	maps.DeleteFunc(msg.Headers, func(name string, _ any) bool { return content.Bookkeeping(name) || special(name) })
	msg.DeliveryMode = amqp.Persistent
	msg.Headers[ackbox.HeaderAttempt] = int64(d.Attempt)
	for name, n := range map[string]int{
		ackbox.HeaderAttemptsBefore: d.AttemptsBefore, ackbox.HeaderStrays: d.Strays, ackbox.HeaderRenewals: d.Renewals,
	} {
		delete(msg.Headers, name)
		if n > 0 {
			msg.Headers[name] = int64(n)
		}
	}
	if d.Ledger == "" {
		remember(&msg, d)
	}
	return msg
}

// remember puts on the copy of a message without a row what is lost of it on the way.
func remember(msg *amqp.Publishing, d *core.Delivery) {
	msg.Headers[ackbox.HeaderExchange] = d.Exchange
	msg.Headers[ackbox.HeaderRoutingKey] = d.RoutingKey
	if d.ID != "" && d.ID != msg.MessageId {
		msg.Headers[ackbox.HeaderID] = d.ID
	}
	first := d.FirstSeen
	if first.IsZero() {
		first = time.Now()
	}
	msg.Headers[ackbox.HeaderFirstSeen] = first
}

// moment reads a timestamp; anything else is the zero time.
func moment(v any) time.Time {
	t, _ := v.(time.Time)
	return t
}

// truncate cuts s to what a header may take, without breaking a character.
func truncate(s string) string {
	if len(s) > maxCause {
		cut := maxCause
		for cut > 0 && !utf8.RuneStart(s[cut]) {
			cut--
		}
		s = s[:cut]
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// sinceEpoch reads milliseconds since 1970; anything else is the zero time.
func sinceEpoch(v any) time.Time {
	ms, ok := v.(int64)
	if !ok || ms <= 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
