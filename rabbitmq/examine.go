package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
)

// Examine asks the broker how it is, by AMQP alone. It changes nothing: it declares no queue
// that is not there, takes no message, and publishes two that no queue gets. Each question is
// bounded by Config.DialTimeout, so it takes a while where the broker is silent. An error
// means that no node can be asked; Examination.Nodes says why of each.
//
// What AMQP does not tell: policies, the consumer timeout, permissions on queues that are not
// there, disk and memory before their alarms.
func (b *Broker) Examine(ctx context.Context) (Examination, error) {
	var e Examination
	reached := false
	for _, t := range b.controlling.nodes.targets {
		n := b.examineNode(ctx, t)
		reached = reached || n.Error == ""
		e.Nodes = append(e.Nodes, n)
	}
	if !reached {
		return e, fmt.Errorf("rabbitmq: examine: no node lets us in: %s", e.Nodes[0].Error)
	}
	b.examinePublishing(ctx, &e)
	for _, q := range b.cfg.Topology.Queues {
		e.Queues = append(e.Queues, b.examineQueues(ctx, q)...)
	}
	for _, x := range b.cfg.Topology.Exchanges {
		e.Exchanges = append(e.Exchanges, b.examineExchange(ctx, x))
	}
	if err := ctx.Err(); err != nil {
		return e, fmt.Errorf("rabbitmq: examine: %w", err)
	}
	return e, nil
}

// examineNode logs in at one address.
func (b *Broker) examineNode(ctx context.Context, t target) NodeExamination {
	ctx, cancel := context.WithTimeout(ctx, b.cfg.DialTimeout)
	defer cancel()
	n := NodeExamination{Address: t.display}
	began := time.Now()
	g, err := b.open(ctx, "examine", t)
	if err != nil {
		n.Error = err.Error()
		return n
	}
	defer g.close()
	n.Login = time.Since(began)
	n.TLS, n.Heartbeat = t.uri.Scheme == "amqps", g.conn.Config.Heartbeat
	said := func(name string) string { s, _ := g.conn.Properties[name].(string); return s }
	n.Product, n.Version, n.Cluster = said("product"), said("version"), said("cluster_name")
	return n
}

// examinePublishing publishes two messages to nowhere: the broker tells of an alarm only to
// a connection that has tried.
func (b *Broker) examinePublishing(ctx context.Context, e *Examination) {
	ctx, cancel := context.WithTimeout(ctx, b.cfg.DialTimeout)
	defer cancel()
	g, err := b.publish.get(ctx, true)
	if err != nil {
		e.Unknown = append(e.Unknown, fmt.Sprintf("publishing: %v", err))
		return
	}
	if blocked, reason, _ := g.blocking(); blocked {
		e.Blocked = reason
		return
	}
	_, err = ask(ctx, g, func(ch *amqp.Channel) (struct{}, error) {
		closed := ch.NotifyClose(make(chan *amqp.Error, 1))
		if err := ch.Confirm(false); err != nil {
			return struct{}{}, err
		}
		confirm, err := ch.PublishWithDeferredConfirm("", probeKey, false, false, amqp.Publishing{DeliveryMode: amqp.Transient, Body: []byte{0}})
		if err != nil {
			return struct{}{}, err
		}
		select {
		case <-confirm.Done():
		case <-ctx.Done():
			return struct{}{}, ctx.Err()
		}
		if !confirm.Acked() {
			if err, ok := <-closed; ok && err != nil {
				return struct{}{}, err
			}
			return struct{}{}, errLost
		}
		return struct{}{}, nil
	})
	switch {
	case code(err) == amqp.AccessRefused:
		e.PublishDenied = reason(err)
	case err != nil:
		e.Unknown = append(e.Unknown, fmt.Sprintf("publishing: %v", g.failed(ctx, "publish", err)))
	}
}

// examineQueues examines a work queue and those beside it.
func (b *Broker) examineQueues(ctx context.Context, q ackbox.Queue) []QueueExamination {
	list := []QueueExamination{b.examineQueue(ctx, q.Name, q.Name, queueArgs(q), q.Passive)}
	side := func(name string, args amqp.Table) {
		if x := b.examineQueue(ctx, name, q.Name, args, false); x.There || x.Unknown != "" {
			list = append(list, x)
		}
	}
	side(q.Name+deadSuffix, deadArgs(q))
	for _, rung := range b.cfg.RetryLadder {
		side(retryName(q, rung), retryArgs(q, rung))
	}
	return list
}

func (b *Broker) examineQueue(ctx context.Context, name, of string, args amqp.Table, theirs bool) QueueExamination {
	ctx, cancel := context.WithTimeout(ctx, b.cfg.DialTimeout)
	defer cancel()
	x := QueueExamination{Name: name, Of: of}
	var seen amqp.Queue
	err := b.control(ctx, func(ch *amqp.Channel) (err error) {
		seen, err = ch.QueueDeclarePassive(name, true, false, false, false, nil)
		return err
	})
	switch {
	case deleted(err):
		return x
	case err != nil:
		x.There, x.Silent, x.Unknown = code(err) == amqp.NotFound, code(err) == amqp.NotFound, err.Error()
		return x
	}
	x.There, x.Consumers = true, seen.Consumers
	switch n, err := b.look(ctx, name); {
	case errors.Is(err, core.ErrUnsure) && code(err) != amqp.AccessRefused:
		x.Silent, x.Unknown = true, err.Error()
		return x // what is asked of it further would wait as long
	case err != nil && code(err) != amqp.AccessRefused:
		x.Unknown = err.Error()
	default:
		x.Ready = max(n, seen.Messages)
	}
	b.examineReading(ctx, &x)
	if !theirs {
		b.examineArguments(ctx, &x, args)
	}
	return x
}

// examineReading asks for a consumer whose priority is no number: the broker refuses it, for
// want of the permission to read first (403), and so takes no message out of the queue.
func (b *Broker) examineReading(ctx context.Context, x *QueueExamination) {
	err := b.control(ctx, func(ch *amqp.Channel) error {
		_, err := ch.ConsumeWithContext(ctx, x.Name, "", false, false, false, false, amqp.Table{"x-priority": "examined"})
		return err
	})
	switch code(err) {
	case amqp.AccessRefused:
		x.Denied = append(x.Denied, "read")
	case amqp.PreconditionFailed:
	default:
		x.Unknown = fmt.Sprintf("whether it may be read: %v", err)
	}
}

// examineArguments declares a queue that is there once more: that changes nothing, and the
// broker compares the arguments.
func (b *Broker) examineArguments(ctx context.Context, x *QueueExamination, args amqp.Table) {
	err := b.control(ctx, func(ch *amqp.Channel) error { return declareQueue(ch, x.Name, args, false) })
	switch code(err) {
	case amqp.AccessRefused:
		x.Denied = append(x.Denied, "configure")
	case amqp.PreconditionFailed:
		x.Differs = drift(err)
	default:
		if err != nil {
			x.Unknown = fmt.Sprintf("its arguments: %v", err)
		}
	}
}

func (b *Broker) examineExchange(ctx context.Context, exchange ackbox.Exchange) ExchangeExamination {
	ctx, cancel := context.WithTimeout(ctx, b.cfg.DialTimeout)
	defer cancel()
	x := ExchangeExamination{Name: exchange.Name}
	err := b.control(ctx, func(ch *amqp.Channel) error { return declareExchange(ch, exchange, true) })
	if err == nil {
		x.There = true
		if !exchange.Passive {
			err = b.control(ctx, func(ch *amqp.Channel) error { return declareExchange(ch, exchange, false) })
		}
	}
	switch code(err) {
	case amqp.NotFound, amqp.AccessRefused: // without the permission to configure nothing is compared
	case amqp.PreconditionFailed:
		x.Differs = drift(err)
	default:
		if err != nil {
			x.Unknown = err.Error()
		}
	}
	return x
}

// drift is which argument differs, and how; or the broker's words.
func drift(err error) string {
	if m := inequivalent.FindStringSubmatch(reason(err)); m != nil {
		return fmt.Sprintf("%s is %s there, and %s here", m[1], driftValue(m[5]), driftValue(m[4]))
	}
	return reason(err)
}

// reason is the broker's own words inside err.
func reason(err error) string {
	var e *amqp.Error
	if errors.As(err, &e) {
		return e.Reason
	}
	return err.Error()
}
