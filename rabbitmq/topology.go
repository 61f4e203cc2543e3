package rabbitmq

import (
	"context"
	"fmt"
	"slices"
	"strings"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ackbox/ackbox"
)

// declareExchange declares one durable exchange or, where it is somebody else's,
// checks that there is one.
func declareExchange(ch *amqp.Channel, x ackbox.Exchange, passive bool) error {
	declare := ch.ExchangeDeclare
	if passive {
		declare = ch.ExchangeDeclarePassive
	}
	if err := declare(x.Name, string(x.Kind), true, false, false, false, table(x.Arguments)); err != nil {
		return explain("exchange", x.Name, err)
	}
	return nil
}

// declareQueue declares one durable queue or, where it is somebody else's, checks that
// there is one.
func declareQueue(ch *amqp.Channel, name string, args amqp.Table, passive bool) error {
	declare := ch.QueueDeclare
	if passive {
		declare = ch.QueueDeclarePassive
	}
	if _, err := declare(name, true, false, false, false, args); err != nil {
		return explain("queue", name, err)
	}
	return nil
}

func declareBinding(ch *amqp.Channel, queue string, bind ackbox.Binding) error {
	if err := ch.QueueBind(queue, bind.RoutingKey, bind.Exchange, false, table(bind.Arguments)); err != nil {
		return explain("binding of exchange "+bind.Exchange+" to queue", queue, err)
	}
	return nil
}

// ensureQueue declares a retry or dead queue once per publishing connection.
func (b *Broker) ensureQueue(ctx context.Context, g *generation, name string, args amqp.Table) error {
	if g.isDeclared(name) {
		return nil
	}
	err := b.control(ctx, func(ch *amqp.Channel) error { return declareQueue(ch, name, args, b.cfg.Passive) })
	if err != nil {
		return err
	}
	g.setDeclared(name, true)
	return nil
}

// declare declares one entity of the topology. It calls began when it asks.
func (b *Broker) declare(ctx context.Context, e *entity, began func()) error {
	g, err := b.controlling.get(ctx, true)
	if err != nil {
		return fmt.Errorf("%w: %w", errUnasked, err)
	}
	began()
	_, err = ask(ctx, g, func(ch *amqp.Channel) (struct{}, error) { return struct{}{}, e.declare(ch) })
	if err != nil && !g.alive() {
		return fmt.Errorf("%w: %w", errUnasked, g.lost())
	}
	return err
}

// control runs f, which asks something of the broker, on the connection that
// nobody's messages use.
func (b *Broker) control(ctx context.Context, f func(*amqp.Channel) error) error {
	g, err := b.controlling.get(ctx, true)
	if err != nil {
		return err
	}
	_, err = ask(ctx, g, func(ch *amqp.Channel) (struct{}, error) { return struct{}{}, f(ch) })
	return err
}

// queueArgs are the arguments of a work queue of ours. The type is always explicit: a
// vhost may have another default. So is the delivery limit, because RabbitMQ 4 has
// one by default, of 20, beyond which it drops what only ever waited. Nothing more is
// set than was asked for, so that other services can declare the same queue.
func queueArgs(q ackbox.Queue) amqp.Table {
	args := table(q.Arguments)
	if args == nil {
		args = make(amqp.Table, 2)
	}
	args[amqp.QueueTypeArg] = string(q.Type)
	if q.Type == ackbox.Quorum {
		args[deliveryLimitArg] = int64(q.DeliveryLimit)
	}
	if q.MaxLength > 0 {
		args[amqp.QueueMaxLenArg] = int64(q.MaxLength)
		args[amqp.QueueOverflowArg] = amqp.QueueOverflowRejectPublish
	}
	return args
}

const (
	deliveryLimitArg = "x-delivery-limit"
	// noDeliveryLimit is what nothing reaches. RabbitMQ 3.10 refuses -1, which says
	// "none" to RabbitMQ 4, and a queue's argument must not differ between them.
	noDeliveryLimit = 1_000_000_000
)

// sideArgs are the arguments that retry and dead queues beside q have in common.
func sideArgs(q ackbox.Queue) amqp.Table {
	args := amqp.Table{amqp.QueueTypeArg: string(q.Type)}
	if q.Type == ackbox.Quorum {
		args[deliveryLimitArg] = int64(noDeliveryLimit)
	}
	return args
}

// limit is how many returns a queue bears of a message, 0 if any number.
func (b *Broker) limit(queue string) int {
	q, err := b.queue(queue)
	if err != nil || q.Type != ackbox.Quorum || q.DeliveryLimit >= noDeliveryLimit {
		return 0
	}
	return q.DeliveryLimit
}

// table is args as AMQP takes them: an int of Go has no width there.
func table(args map[string]any) amqp.Table {
	if len(args) == 0 {
		return nil
	}
	t := make(amqp.Table, len(args))
	for name, value := range args {
		if n, ok := value.(int); ok {
			value = int64(n)
		}
		t[name] = value
	}
	return t
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
