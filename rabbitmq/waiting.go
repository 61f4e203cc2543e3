package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
)

const (
	// leaderPause is well below the 250 ms after which RabbitMQ stops waiting for
	// the leader of a quorum queue, and says that it has no messages.
	leaderPause = 200 * time.Millisecond
	// looks is how often a slow answer is asked for again: not only a leader that
	// is silent makes it slow.
	looks = 3
	// trialPatience is how long a queue's own answer is waited for.
	trialPatience = 2 * time.Second
)

// Waiting reports how many messages are ready in queue, which need not be in
// the topology: neither those that a consumer holds nor those in its retry
// queues count. The error wraps [core.ErrNoQueue] if the queue does not
// exist, and means "not known" otherwise. It waits for a connection and the
// answer until ctx ends, at most Config.DialTimeout.
//
// 0 is the queue's own word. Of a quorum queue whose leader does not answer
// RabbitMQ says that it has neither messages nor consumers; so when it says that,
// the queue is asked for a message, which none can give without its leader. One
// that comes because it arrived just then is given back. That takes the
// permission to read the queue; without it such a queue is an error that wraps
// [core.ErrUnsure], as is one whose leader does not answer.
func (b *Broker) Waiting(ctx context.Context, queue string) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, b.cfg.DialTimeout)
	defer cancel()
	n, err := b.look(ctx, queue)
	if err != nil {
		return 0, fmt.Errorf("rabbitmq: waiting: queue %s: %w", queue, err)
	}
	return n, nil
}

// look is Waiting without its bound.
func (b *Broker) look(ctx context.Context, queue string) (int, error) {
	g, err := b.controlling.get(ctx, true)
	if err != nil {
		return 0, err
	}
	for range looks {
		began := time.Now()
		q, err := ask(ctx, g, func(ch *amqp.Channel) (amqp.Queue, error) {
			return ch.QueueDeclarePassive(queue, true, false, false, false, nil)
		})
		switch {
		case deleted(err):
			return 0, fmt.Errorf("%w (Config.Topology has %s)", core.ErrNoQueue, strings.Join(b.cfg.Topology.QueueNames(), ", "))
		case err != nil:
			return 0, g.failed(ctx, "look at it", err)
		case q.Messages+q.Consumers > 0 || !b.isInDoubt(queue):
			return q.Messages, nil
		case time.Since(began) < leaderPause:
			return b.trial(ctx, g, queue)
		}
	}
	return 0, core.ErrUnsure
}

// isInDoubt reports whether a queue that seems empty may be one whose leader is
// away. A classic queue answers for itself or not at all. On what waits in retry
// and dead queues nothing depends, and a message that came back to them would have
// lost its place.
func (b *Broker) isInDoubt(queue string) bool {
	for _, q := range b.cfg.Topology.Queues {
		switch {
		case queue == q.Name:
			return q.Type != ackbox.Classic
		case queue == q.Name+deadSuffix || strings.HasPrefix(queue, q.Name+retryInfix):
			return false
		}
	}
	return true
}

// trials are the queues that were asked for a message and have not answered.
type trials struct {
	mu      sync.Mutex
	running map[string]chan struct{} // closed when it has
}

// begin returns nil if queue may be asked, once at a time, or the end of the trial
// that runs. What is asked of a leader that is away ends, after a minute, with the
// connection (541).
func (t *trials) begin(queue string) (running <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if over, runs := t.running[queue]; runs {
		return over
	}
	if t.running == nil {
		t.running = make(map[string]chan struct{})
	}
	t.running[queue] = make(chan struct{})
	return nil
}

func (t *trials) end(queue string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	close(t.running[queue])
	delete(t.running, queue)
}

// trial asks a queue that is said to be empty for a message, and reports how many
// it had.
func (b *Broker) trial(ctx context.Context, g *generation, queue string) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, trialPatience)
	defer cancel()
	for {
		running := b.trials.begin(queue)
		if running == nil {
			break
		}
		select {
		case <-running:
		case <-ctx.Done():
			return 0, fmt.Errorf("%w: %w", core.ErrUnsure, ctx.Err())
		}
	}
	n, err := within(ctx, g, func() (int, error) {
		defer b.trials.end(queue)
		ch, err := g.newChannel(ctx)
		if err != nil {
			return 0, err
		}
		defer func() { _ = ch.Close() }() // gives back what is not
		d, ok, err := ch.Get(queue, false)
		if err != nil || !ok {
			return 0, err
		}
		return 1, d.Nack(false, true)
	}, nil)
	if errors.Is(err, errUnasked) {
		b.trials.end(queue)
	}
	if err != nil {
		return 0, fmt.Errorf("%w: %w", core.ErrUnsure, g.failed(ctx, "ask it for a message", err))
	}
	return n, nil
}
