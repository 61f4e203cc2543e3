package rabbitmq

import (
	"context"
	"fmt"
	"slices"
	"strings"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ackbox/ackbox"
)

// declareTopology declares, or in passive mode checks, everything in
// Config.Topology, on a channel of its own: declaring beside publishes on one
// channel interleaves frames and kills the connection.
func (b *Broker) declareTopology(ctx context.Context, g *generation) error {
	// One connection at a time: RabbitMQ lets the second of two who declare a
	// quorum queue at once go on before the first has started it, and answers its
	// consumer by closing the whole connection (541).
	select {
	case b.declaring <- struct{}{}:
		defer func() { <-b.declaring }()
	case <-ctx.Done():
		return fmt.Errorf("wait for the other connection's declarations: %w", ctx.Err())
	}
	return g.withChannel(ctx, func(ch *amqp.Channel) error {
		for _, x := range b.cfg.Topology.Exchanges {
			declare := ch.ExchangeDeclare
			if b.cfg.Passive {
				declare = ch.ExchangeDeclarePassive
			}
			if err := declare(x.Name, string(x.Kind), true, false, false, false, nil); err != nil {
				return explain("exchange", x.Name, err)
			}
		}
		for _, q := range b.cfg.Topology.Queues {
			if err := b.declareQueue(ch, q.Name, queueArgs(q)); err != nil {
				return err
			}
			if b.cfg.Passive {
				continue
			}
			for _, bind := range q.Bindings {
				if err := ch.QueueBind(q.Name, bind.RoutingKey, bind.Exchange, false, nil); err != nil {
					return explain("binding of exchange "+bind.Exchange+" to queue", q.Name, err)
				}
			}
		}
		return nil
	})
}

// declareQueue declares or, in passive mode, checks one durable queue.
func (b *Broker) declareQueue(ch *amqp.Channel, name string, args amqp.Table) error {
	declare := ch.QueueDeclare
	if b.cfg.Passive {
		declare = ch.QueueDeclarePassive
	}
	if _, err := declare(name, true, false, false, false, args); err != nil {
		return explain("queue", name, err)
	}
	return nil
}

// ensureQueue declares a retry or dead queue once per generation.
func (b *Broker) ensureQueue(ctx context.Context, g *generation, name string, args amqp.Table) error {
	if g.isDeclared(name) {
		return nil
	}
	err := g.withChannel(ctx, func(ch *amqp.Channel) error { return b.declareQueue(ch, name, args) })
	if err != nil {
		return err
	}
	g.setDeclared(name, true)
	return nil
}

// queueArgs are the arguments of a work queue. The type is always explicit: a
// vhost may have another default. Nothing more is set than was asked for, so
// that other services can declare the same queue.
func queueArgs(q ackbox.Queue) amqp.Table {
	args := amqp.Table{amqp.QueueTypeArg: string(q.Type)}
	if q.MaxLength > 0 {
		args[amqp.QueueMaxLenArg] = int64(q.MaxLength)
		args[amqp.QueueOverflowArg] = amqp.QueueOverflowRejectPublish
	}
	return args
}

// queue finds a work queue of the topology.
func (b *Broker) queue(name string) (ackbox.Queue, error) {
	i := slices.IndexFunc(b.cfg.Topology.Queues, func(q ackbox.Queue) bool { return q.Name == name })
	if i < 0 {
		return ackbox.Queue{}, fmt.Errorf("rabbitmq: queue %q is not in Config.Topology, which has %s",
			name, strings.Join(b.cfg.Topology.QueueNames(), ", "))
	}
	return b.cfg.Topology.Queues[i], nil
}
