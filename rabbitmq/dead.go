package rabbitmq

import (
	"context"
	"fmt"
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
	}
	if kind, ok := d.Headers[ackbox.HeaderKind].(string); ok {
		m.Kind = kind
	}
	m.Error, _ = d.Headers[ackbox.HeaderError].(string)
	if _, ours := d.Headers[ackbox.HeaderError]; ours || m.Ledger != "" {
		return m
	}
	// The broker's notes, latest first: why it came here, and how it came at all.
	deaths, _ := d.Headers["x-death"].([]any)
	if len(deaths) == 0 {
		return m
	}
	latest, _ := deaths[0].(amqp.Table)
	m.Error, _ = latest["reason"].(string)
	m.DiedAt = moment(latest["time"])
	earliest, _ := deaths[len(deaths)-1].(amqp.Table)
	if exchange, ok := earliest["exchange"].(string); ok {
		m.Exchange = exchange
	}
	if keys, _ := earliest["routing-keys"].([]any); len(keys) > 0 {
		m.RoutingKey, _ = keys[0].(string)
	}
	m.Message.Exchange, m.Message.RoutingKey = m.Exchange, m.RoutingKey
	return m
}
