package rabbitmq

import (
	"context"
	"fmt"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ackbox/ackbox"
)

// Broker is a RabbitMQ server, or cluster, as dispatcher, worker and sweeper
// see it. One Broker serves all of them. All methods are safe for concurrent
// use.
type Broker struct {
	cfg         Config
	display     string // where it connects to
	publish     *slot
	consume     *slot
	controlling *slot
	declared    *declarations
	trials      trials
	stalls      stalls
	refused     refusals
	closing     chan struct{}
	once        sync.Once
	retiring    sync.WaitGroup // generations being closed in the background
}

// New checks cfg and returns a Broker that has no connection yet: it does no
// I/O and starts nothing. The error names every field that makes no sense and
// what it accepts, never a password.
func New(cfg Config) (*Broker, error) {
	targets, err := parseURLs(cfg)
	if err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	if err := cfg.validate(targets[0].uri.Scheme); err != nil {
		return nil, err
	}
	targets = shuffled(targets)
	b := &Broker{cfg: cfg, display: displayed(targets), closing: make(chan struct{})}
	log := cfg.Logger.With("broker", b.display)
	b.stalls.log = log
	b.refused.log, b.refused.pause = log, cfg.MaxBackoff
	b.publish = b.newSlot("publish", targets, b.buildPublishing)
	b.consume = b.newSlot("consume", targets, nil)
	b.controlling = b.newSlot("control", targets, nil)
	b.declared = &declarations{
		entities: newEntities(cfg.Topology, cfg.Passive),
		ask:      b.declare,
		min:      cfg.MinBackoff, max: cfg.MaxBackoff, timeout: cfg.DialTimeout,
		log: log, closing: b.closing,
		slots: make(chan struct{}, maxAsking), changed: make(chan struct{}),
	}
	// A broker that ends a connection may come back without what it had.
	lost := func(g *generation) { b.declared.lose(g.lostAt()) }
	b.publish.lost, b.consume.lost = lost, lost
	return b, nil
}

func (b *Broker) newSlot(role string, targets []target, build func(context.Context, target) (*generation, error)) *slot {
	if build == nil {
		build = func(ctx context.Context, t target) (*generation, error) { return b.open(ctx, role, t) }
	}
	return &slot{
		role:    role,
		nodes:   nodes{targets: targets},
		build:   build,
		retire:  func(g *generation) { b.retiring.Go(g.close) },
		min:     b.cfg.MinBackoff,
		max:     b.cfg.MaxBackoff,
		log:     b.cfg.Logger.With("broker", b.display),
		closing: b.closing,
	}
}

// String shows where b connects to, without user and password.
func (b *Broker) String() string { return "rabbitmq.Broker{" + b.display + "}" }

// GoString is String: %#v must not show the password either.
func (b *Broker) GoString() string { return b.String() }

// Ready blocks until a publish would be confirmed: the publishing connection
// stands, the broker has answered a probe and does not block publishers because
// of a memory or disk alarm, and what it can declare of the topology is declared.
// It reconnects for ever, with backoff and jitter. It does not wait for an
// exchange or queue that cannot be declared (another of the same name with other
// arguments): that is logged once per change, tried again at Config.MaxBackoff or
// before, and meanwhile its queue is among [Broker.Unavailable]. The error wraps
// ctx.Err(), together with the reason there was no connection, or is
// [ackbox.ErrClosed].
func (b *Broker) Ready(ctx context.Context) error {
	for {
		g, err := b.publish.get(ctx, true)
		if err != nil {
			return fmt.Errorf("rabbitmq: ready: %w", err)
		}
		ok, err := b.awaitProof(ctx, g)
		if err == nil && ok {
			err = b.declared.settle(ctx, b.declared.all)
			ok = g.alive()
		}
		if err != nil {
			return fmt.Errorf("rabbitmq: ready: %w", err)
		}
		if ok {
			return nil
		}
	}
}

// Queues returns the names of the topology's queues, in its order.
func (b *Broker) Queues() []string { return b.cfg.Topology.QueueNames() }

// Unavailable lists the queues of the topology for which nothing can be
// published at present: those that are not declared, and those for which the
// broker confirms nothing. A queue of the latter kind is left out when it is time
// to see whether it answers again. What is published for one all the same is
// Unknown, Stalled and Unpublished. It asks nobody and returns at once.
func (b *Broker) Unavailable() []string {
	return append(b.declared.absent(), b.stalls.queues()...)
}

// awaitProof waits until the broker answers publishes on g. It returns false
// if g is not usable any more.
func (b *Broker) awaitProof(ctx context.Context, g *generation) (bool, error) {
	for {
		blocked, reason, changed := g.blocking()
		var (
			proven  = g.proven
			expired <-chan time.Time
		)
		if blocked {
			proven = nil // wait for the alarm's end, however long it lasts
		} else {
			expired = time.After(b.cfg.ConfirmTimeout)
		}
		select {
		case <-proven:
			// The alarm may have come with the answer, and a dying connection
			// resolves everything.
			if blocked, _, _ := g.blocking(); !blocked {
				return g.alive(), nil
			}
		case <-changed:
		case <-g.dead:
			return false, nil
		case <-expired:
			b.publish.discard(g, fmt.Errorf("no answer to a probe within %v", b.cfg.ConfirmTimeout))
			return false, nil
		case <-b.closing:
			return false, ackbox.ErrClosed
		case <-ctx.Done():
			if blocked {
				return false, fmt.Errorf("%w, the broker blocks publishers: %s", ctx.Err(), reason)
			}
			return false, ctx.Err()
		}
	}
}

// buildPublishing builds a connection that is proven, or known to be blocked by
// an alarm.
func (b *Broker) buildPublishing(ctx context.Context, t target) (*generation, error) {
	g, err := b.open(ctx, b.publish.role, t)
	if err != nil {
		return nil, err
	}
	probing, cancel := context.WithTimeout(ctx, b.cfg.ConfirmTimeout)
	defer cancel()
	if err := b.probe(probing, g); err != nil {
		b.publish.retire(g)
		return nil, fmt.Errorf("probe: %w", err)
	}
	return g, nil
}

// probeKey is a routing key that no queue has, so that a probe lands nowhere.
const probeKey = "ackbox.probe.d9428888-122b-4b1d-b1f8-6f1e7a1f6a0c"

// probe publishes to nowhere and awaits the answer, because the broker signals
// a memory or disk alarm only to a connection that has tried to publish. It
// does so twice: the first answer can overtake the alarm that it caused, but
// the second probe of a blocked connection is not read at all.
func (b *Broker) probe(ctx context.Context, g *generation) error {
	p, err := g.openPublisher(ctx, 1)
	if err != nil {
		return err
	}
	defer g.guard(ctx)()
	for range 2 {
		confirm, err := p.ch.PublishWithDeferredConfirm("", probeKey, false, false,
			amqp.Publishing{DeliveryMode: amqp.Transient, Body: []byte{0}})
		if err != nil {
			return g.failed(ctx, "publish", err)
		}
		blocked, _, changed := g.blocking()
		for !blocked {
			select {
			case <-confirm.Done():
			case <-changed:
				blocked, _, changed = g.blocking()
				continue
			case <-ctx.Done():
				return fmt.Errorf("no answer from the broker: %w", ctx.Err())
			}
			break
		}
		g.proven = confirm.Done()
		// A user without permission on the default exchange gets its channel
		// closed: that is an answer, too.
		if blocked || p.ch.IsClosed() && g.alive() {
			return nil
		}
		if !confirm.Acked() {
			return g.failed(ctx, "confirm", amqp.ErrClosed)
		}
	}
	g.drop(p)
	return nil
}

// Close ends all connections and everything that uses them: Publish returns
// Unknown for what is not confirmed, Consume returns an error, receipts fail.
// It returns when no goroutine of b is left, after a few seconds at most even
// if the broker is frozen. It is idempotent; its error is always nil.
func (b *Broker) Close() error {
	b.once.Do(func() {
		close(b.closing)
		for _, s := range []*slot{b.publish, b.consume, b.controlling} {
			if g := s.shut(); g != nil {
				b.retiring.Go(g.close)
			}
		}
		b.declared.shut()
		b.retiring.Wait()
	})
	return nil
}
