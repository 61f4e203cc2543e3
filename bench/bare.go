package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/outbox"
)

// bare is a connection with one channel, and a quorum queue.
type bare struct {
	conn  *amqp.Connection
	ch    *amqp.Channel
	queue string
}

func openBare(url, queue string) (*bare, error) {
	conn, err := amqp.Dial(url)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	b := &bare{conn: conn, queue: queue}
	if b.ch, err = conn.Channel(); err != nil {
		return nil, errors.Join(fmt.Errorf("open a channel: %w", err), b.close())
	}
	if _, err := b.ch.QueueDeclare(queue, true, false, false, false, amqp.Table{amqp.QueueTypeArg: amqp.QueueTypeQuorum}); err != nil {
		return nil, errors.Join(fmt.Errorf("declare a queue: %w", err), b.close())
	}
	return b, nil
}

func (b *bare) close() error { return b.conn.Close() }

// arrived waits until the queue holds n messages.
func (b *bare) arrived(ctx context.Context, n int) error {
	return await(ctx, func() (bool, error) {
		q, err := b.ch.QueueDeclarePassive(b.queue, true, false, false, false, amqp.Table{amqp.QueueTypeArg: amqp.QueueTypeQuorum})
		if err != nil {
			return false, fmt.Errorf("count the queue: %w", err)
		}
		return q.Messages >= n, nil
	})
}

// publishing is a job's message as our dispatcher publishes it: persistent, with
// the same properties and headers.
func publishing(id, kind string, body []byte, created time.Time, headers amqp.Table) amqp.Publishing {
	return amqp.Publishing{
		Headers: headers, ContentType: "application/json", DeliveryMode: amqp.Persistent,
		MessageId: id, Type: kind, Timestamp: created, Body: body,
	}
}

func headers() amqp.Table {
	return amqp.Table{ackbox.HeaderLedger: "00000000-0000-4000-8000-000000000000", ackbox.HeaderMaxAttempts: int64(outbox.DefaultMaxAttempts)}
}

// publishBare is what the machine can do: one goroutine with one channel that
// publishes n prepared messages, mandatory and confirmed, a window at a time,
// and nothing else.
func publishBare(ctx context.Context, env *Env, n, window int) (f figures, err error) {
	b, err := openBare(env.AMQP, fmt.Sprintf("limit_%d", window))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	if err := b.ch.Confirm(false); err != nil {
		return nil, fmt.Errorf("confirm mode: %w", err)
	}
	returns := b.ch.NotifyReturn(make(chan amqp.Return, window))
	messages := make([]amqp.Publishing, n)
	shared, now := headers(), time.Now()
	for i := range messages {
		order := newOrder(int64(i))
		body, err := encoded(order)
		if err != nil {
			return nil, err
		}
		messages[i] = publishing(outbox.NewID(), order.Kind(), body, now, shared)
	}
	f, err = env.metered(ctx, n, func() error {
		for first := 0; first < n; first += window {
			if err := b.window(ctx, messages[first:min(first+window, n)]); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil && len(returns) > 0 {
		err = fmt.Errorf("%d messages were returned", len(returns))
	}
	if err != nil {
		return nil, err
	}
	return f, nil
}

// window publishes messages and waits for the confirms of all of them.
func (b *bare) window(ctx context.Context, messages []amqp.Publishing) error {
	confirms := make([]*amqp.DeferredConfirmation, 0, len(messages))
	for _, m := range messages {
		c, err := b.ch.PublishWithDeferredConfirm("", b.queue, true, false, m)
		if err != nil {
			return fmt.Errorf("publish: %w", err)
		}
		confirms = append(confirms, c)
	}
	for _, c := range confirms {
		if acked, err := c.WaitContext(ctx); err != nil || !acked {
			return errors.Join(errors.New("a message was not confirmed"), err)
		}
	}
	return nil
}

// unconfirmed is a dispatcher's broker that waits for nothing.
type unconfirmed struct {
	*bare
	mu sync.Mutex // a channel publishes for one at a time
}

func openUnconfirmed(url, queue string) (*unconfirmed, error) {
	b, err := openBare(url, queue)
	if err != nil {
		return nil, err
	}
	return &unconfirmed{bare: b}, nil
}

// Queues implements dispatcher.Broker.
func (*unconfirmed) Queues() []string { return []string{ackbox.DefaultQueue} }

// Unavailable implements dispatcher.Broker.
func (*unconfirmed) Unavailable() []string { return nil }

// Ready implements dispatcher.Broker.
func (u *unconfirmed) Ready(context.Context) error { return nil }

// Publish implements dispatcher.Broker.
func (u *unconfirmed) Publish(ctx context.Context, jobs []ackbox.Job) []core.Outcome {
	u.mu.Lock()
	defer u.mu.Unlock()
	outcomes := make([]core.Outcome, len(jobs))
	for i, job := range jobs {
		m := publishing(job.ID, job.Kind, job.Payload, job.CreatedAt, headers())
		if err := u.ch.PublishWithContext(ctx, job.Exchange, job.RoutingKey, false, false, m); err != nil {
			break // unknown, as the rest: the measurement fails
		}
		outcomes[i].Status = core.Acked
	}
	return outcomes
}
