package memory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/ackbox/ackbox"
)

var errAway = errors.New("the broker is away")

// Broker is an in-process message broker. Make it with [New]. All methods are
// safe for concurrent use, also from inside a Consume's handle.
type Broker struct {
	maxMessageBytes int
	routes          routes            // never changes after New
	queues          map[string]*queue // work queues and dead queues; the map never changes
	names           []string          // the work queues in the topology's order

	mu     sync.Mutex // guards everything below, and what queues and consumers hold
	closed bool
	away   bool
	back   chan struct{} // closed when away ends; nil while the broker is here
	ladder ladder
}

// New returns a broker that is ready at once. It fails if cfg is wrong, with
// an error that names every bad field. The caller closes it.
func New(cfg Config) (*Broker, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	b := &Broker{
		maxMessageBytes: cfg.MaxMessageBytes,
		queues:          make(map[string]*queue),
		names:           cfg.Topology.QueueNames(),
		ladder:          newLadder(cfg.RetryLadder),
	}
	for _, q := range cfg.Topology.Queues {
		dead := &queue{name: q.Name + deadSuffix}
		b.queues[dead.name] = dead
		b.queues[q.Name] = &queue{name: q.Name, maxLength: q.MaxLength, dead: dead}
	}
	b.routes = newRoutes(cfg.Topology, b.queues)
	return b, nil
}

// Ready returns nil when the broker takes messages. While it is away (see
// [Broker.SetAway]) Ready waits, until ctx ends or the broker is closed; then
// the error wraps ctx's error or [ackbox.ErrClosed].
func (b *Broker) Ready(ctx context.Context) error {
	for {
		b.mu.Lock()
		err, back := b.unusable(), b.back
		b.mu.Unlock()
		if err == nil {
			return nil
		}
		if !errors.Is(err, errAway) {
			return fmt.Errorf("memory: %w", err)
		}
		select {
		case <-back:
		case <-ctx.Done():
			return fmt.Errorf("memory: waiting for the broker: %w", ctx.Err())
		}
	}
}

// Waiting returns how many messages of queue are ready: not in a consumer's
// hands, not waiting for a retry. The name may also be that of a dead queue
// ("<queue>.dead"). It fails on an unknown queue, on an ended ctx, while the
// broker is away and after Close.
func (b *Broker) Waiting(ctx context.Context, queue string) (int, error) {
	q, err := b.queue(queue)
	if err != nil {
		return 0, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.refuses(ctx); err != nil {
		return 0, fmt.Errorf("memory: counting queue %q: %w", queue, err)
	}
	return q.ready.len(), nil
}

// SetAway makes the broker unreachable, or reachable again, as an outage of a
// server is seen by its clients: Ready blocks, Publish answers Unknown,
// running Consumes end with an error and new ones wait, receipts and the other
// methods fail, and deliveries in consumers' hands go back to their queues.
// Messages are kept, and waiting retries become due meanwhile. SetAway does
// nothing when there is nothing to change, or after Close.
func (b *Broker) SetAway(away bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || b.away == away {
		return
	}
	b.away = away
	if away {
		b.back = make(chan struct{})
		b.cutAll(errAway)
		return
	}
	close(b.back)
	b.back = nil
}

// Wipe loses every message that no handler holds, those in waiting rooms and
// dead queues included: a server whose disk was wiped. Deliveries in handlers'
// hands stay valid; to lose these too, call SetAway(true) first, and
// SetAway(false) after.
func (b *Broker) Wipe() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forget()
}

// Close ends every subscription, after which receipts fail, and loses all
// messages. It waits for nothing but its own timer, so it may be called from a
// handler. Later calls of any method fail with an error wrapping
// [ackbox.ErrClosed], and Publish answers Unknown. Closing again does nothing;
// the error is always nil.
func (b *Broker) Close() error {
	b.mu.Lock()
	if !b.closed {
		b.closed = true
		b.cutAll(ackbox.ErrClosed)
		b.forget()
		if b.back != nil {
			close(b.back)
			b.back = nil
		}
	}
	b.mu.Unlock()
	b.ladder.firing.Wait()
	return nil
}

// cutAll ends every subscription with err.
func (b *Broker) cutAll(err error) {
	for _, q := range b.queues {
		q.cut(err, q.consumers...)
	}
}

// forget drops every message but those that handlers hold.
func (b *Broker) forget() {
	for _, q := range b.queues {
		q.forget()
	}
	b.ladder.forget()
}

// unusable says why the broker takes no calls now, or nil.
func (b *Broker) unusable() error {
	switch {
	case b.closed:
		return ackbox.ErrClosed
	case b.away:
		return errAway
	}
	return nil
}

// refuses says why a call with ctx cannot be served now, or nil.
func (b *Broker) refuses(ctx context.Context) error {
	if err := b.unusable(); err != nil {
		return err
	}
	return ctx.Err()
}

// queue returns the work or dead queue of that name.
func (b *Broker) queue(name string) (*queue, error) {
	if q, ok := b.queues[name]; ok {
		return q, nil
	}
	return nil, fmt.Errorf("memory: queue %q is not in the topology, which has %q", name, b.names)
}

// workQueue returns the queue of that name if it is one of the topology's.
func (b *Broker) workQueue(name string) (*queue, error) {
	q, err := b.queue(name)
	if err == nil && q.dead == nil {
		return nil, fmt.Errorf("memory: queue %q holds dead messages: want one of %q", name, b.names)
	}
	return q, err
}

// Queues returns the names of the topology's queues, in its order.
func (b *Broker) Queues() []string { return slices.Clone(b.names) }

// Unavailable lists no queue: every queue of this broker takes messages.
func (b *Broker) Unavailable() []string { return nil }
