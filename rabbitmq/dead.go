package rabbitmq

import (
	"context"
	"fmt"
	"slices"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
)

// deadSuffix ends the name of the queue that keeps what was given up.
const deadSuffix = core.DeadSuffix

// Bury puts a copy of d, a message that no row of the caller's ledger stands behind
// and that was given up, into the durable queue "<queue>.dead", with what people ask of
// it in headers: [ackbox.HeaderError] (at most 1024 bytes of cause), HeaderAttempt (how
// many tries it had), HeaderQueue, HeaderKind, HeaderExchange, HeaderRoutingKey,
// HeaderFirstSeen and HeaderDiedAt. nil means confirmed and
// routed: acknowledge d now. Errors and what is copied: as in [Broker.Retry].
// Messages stay there until [Broker.RequeueDead], [Broker.DeleteDead] or an operator
// takes them.
func (b *Broker) Bury(ctx context.Context, d core.Delivery, cause string) error {
	q, err := b.queue(d.Queue)
	if err != nil {
		return err
	}
	msg := copyOf(&d)
	msg.Headers[ackbox.HeaderError] = truncate(cause)
	msg.Headers[ackbox.HeaderQueue] = q.Name
	msg.Headers[ackbox.HeaderKind] = d.Kind
	msg.Headers[ackbox.HeaderDiedAt] = time.Now()
	if err := b.deposit(ctx, q.Name+deadSuffix, deadArgs(q), msg); err != nil {
		return fmt.Errorf("rabbitmq: bury: %w", err)
	}
	return nil
}

func deadArgs(q ackbox.Queue) amqp.Table { return sideArgs(q) }

// deadFrom reads a message of a dead queue beside the work queue named queue.
func deadFrom(queue string, d *amqp.Delivery) ackbox.DeadMessage {
	m := ackbox.DeadMessage{
		Job:       jobFrom(queue, d),
		FirstSeen: moment(d.Headers[ackbox.HeaderFirstSeen]),
		DiedAt:    moment(d.Headers[ackbox.HeaderDiedAt]),
		Deaths:    deaths(d.Headers),
	}
	if kind, ok := d.Headers[ackbox.HeaderKind].(string); ok {
		m.Kind = kind
	}
	cause, buried := d.Headers[ackbox.HeaderError].(string)
	m.Error = cause
	if buried || m.Ledger != "" || len(m.Deaths) == 0 {
		return m
	}
	// The broker has put it here.
	m.Error, m.DiedAt = m.Deaths[0].Reason, m.Deaths[0].At
	if _, known := d.Headers[ackbox.HeaderExchange].(string); known {
		return m // a copy of ours, which says how its original came
	}
	first := m.Deaths[firstDeath(m.Deaths, d.Headers)]
	m.Exchange, m.RoutingKey = first.Exchange, first.RoutingKey
	m.Message.Exchange, m.Message.RoutingKey = m.Exchange, m.RoutingKey
	return m
}

// deaths reads the broker's notes. Nothing in them is trusted.
func deaths(headers amqp.Table) (out []ackbox.Death) {
	notes, _ := headers["x-death"].([]any)
	for _, note := range notes {
		t, ok := note.(amqp.Table)
		if !ok {
			continue
		}
		death := ackbox.Death{Count: count(t["count"]), At: moment(t["time"])}
		death.Queue, _ = t["queue"].(string)
		death.Exchange, _ = t["exchange"].(string)
		death.Reason, _ = t["reason"].(string)
		if keys, _ := t["routing-keys"].([]any); len(keys) > 0 {
			death.RoutingKey, _ = keys[0].(string)
		}
		out = append(out, death)
	}
	return out
}

// firstDeath finds the note of how a message came at all: not always the last one, since a
// queue where it has died again has its note renewed.
func firstDeath(notes []ackbox.Death, headers amqp.Table) int {
	queue, _ := headers["x-first-death-queue"].(string)
	reason, _ := headers["x-first-death-reason"].(string)
	at := slices.IndexFunc(notes, func(n ackbox.Death) bool { return n.Queue == queue && n.Reason == reason })
	if at < 0 {
		return len(notes) - 1
	}
	return at
}
