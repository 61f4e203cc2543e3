package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/ackbox/ackbox"
)

// Dispatcher carries jobs from an [Outbox] to a [Broker].
type Dispatcher struct {
	outbox  Outbox
	broker  Broker
	cfg     Config
	running atomic.Bool

	sent, refused, dead, unknown atomic.Int64
}

// Stats are the jobs that a [Dispatcher] has seen since it was made.
type Stats struct {
	// Sent jobs were confirmed and routed.
	Sent int64
	// Refused jobs were nacked or returned, each time they were.
	Refused int64
	// Dead jobs were refused for the last time.
	Dead int64
	// Unknown jobs got no answer, each time they got none.
	Unknown int64
}

// New returns a Dispatcher. It does no I/O and starts nothing. It fails on a
// nil store or broker, and on every bad field of cfg, by name.
func New(store Outbox, broker Broker, cfg Config) (*Dispatcher, error) {
	switch {
	case store == nil:
		return nil, errors.New("dispatcher: the store is nil: pass an *outbox.Store")
	case broker == nil:
		return nil, errors.New("dispatcher: the broker is nil: pass a *rabbitmq.Broker or *memory.Broker")
	}
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	return &Dispatcher{outbox: store, broker: broker, cfg: cfg}, nil
}

// Stats returns the counts so far. Safe for concurrent use.
func (d *Dispatcher) Stats() Stats {
	return Stats{Sent: d.sent.Load(), Refused: d.refused.Load(), Dead: d.dead.Load(), Unknown: d.unknown.Load()}
}

// Run carries jobs until ctx ends, then finishes the batches in hand and
// returns nil. Failures of database or broker do not end it: it logs them and
// tries again, forever. It returns an error only if the Dispatcher runs
// already, or if the broker's owner closed it ([ackbox.ErrClosed]).
func (d *Dispatcher) Run(ctx context.Context) error {
	if !d.running.CompareAndSwap(false, true) {
		return errors.New("dispatcher: Run was called while it runs already")
	}
	defer d.running.Store(false)

	// One lane at a time looks for work; it passes the turn on when it has a
	// batch, so that claims never compete and publishing overlaps.
	turn := make(chan *pace, 1)
	turn <- newPace(d.cfg.PollInterval)
	var lanes errgroup.Group
	for range d.cfg.InFlight {
		lanes.Go(func() error { return d.lane(ctx, turn) })
	}
	return lanes.Wait()
}

// lane claims, publishes and records one batch after the other.
func (d *Dispatcher) lane(ctx context.Context, turn chan *pace) error {
	for {
		var p *pace
		select {
		case <-ctx.Done():
			return nil
		case p = <-turn:
		}
		passed := false
		pass := func() {
			if !passed {
				passed = true
				turn <- p
			}
		}
		err := d.batch(ctx, p, pass)
		if err == nil || ctx.Err() != nil {
			pass()
			continue
		}
		if errors.Is(err, ackbox.ErrClosed) {
			pass()
			return fmt.Errorf("dispatcher: %w", err)
		}
		d.cfg.Logger.Error("dispatcher: a batch failed; its jobs stay publishable", "error", err)
		if !passed {
			p.failed(ctx)
			pass()
			continue
		}
		// The turn is another lane's, which meets the same trouble by itself.
		newPace(d.cfg.PollInterval).failed(ctx)
	}
}

// batch waits until there is work and carries one batch of it. It calls pass
// as soon as the claim is made.
func (d *Dispatcher) batch(ctx context.Context, p *pace, pass func()) error {
	if !p.wait(ctx, d.outbox.Wake()) {
		return nil
	}
	// Nothing is claimed, nor written, while the broker is away.
	if err := d.broker.Ready(ctx); err != nil {
		return fmt.Errorf("wait for the broker: %w", err)
	}
	unanswered := 0
	n, err := d.outbox.Relay(ctx, d.cfg.BatchSize, func(ctx context.Context, jobs []ackbox.Job) []ackbox.Transition {
		p.found(len(jobs) == d.cfg.BatchSize)
		pass()
		var transitions []ackbox.Transition
		transitions, unanswered = d.publish(ctx, jobs)
		return transitions
	})
	switch {
	case err != nil:
		return err
	case n == 0:
		p.empty()
	case unanswered > 0:
		return fmt.Errorf("the broker did not answer for %d of %d messages", unanswered, n)
	}
	return nil
}

// publish turns the broker's outcomes into transitions.
func (d *Dispatcher) publish(ctx context.Context, jobs []ackbox.Job) ([]ackbox.Transition, int) {
	outcomes := d.broker.Publish(ctx, jobs)
	transitions := make([]ackbox.Transition, len(jobs))
	unanswered := 0
	for i, job := range jobs {
		var outcome ackbox.Outcome // of a job the broker left out: unknown
		if i < len(outcomes) {
			outcome = outcomes[i]
		}
		transitions[i] = d.transition(job, outcome)
		if outcome.Status == ackbox.Unknown {
			unanswered++
		}
	}
	return transitions, unanswered
}

func (d *Dispatcher) transition(job ackbox.Job, outcome ackbox.Outcome) ackbox.Transition {
	t := ackbox.Transition{ID: job.ID, Attempt: job.Attempt}
	switch outcome.Status {
	case ackbox.Acked:
		d.sent.Add(1)
		t.To = ackbox.Sent
	case ackbox.NackedByBroker, ackbox.Returned:
		d.refused.Add(1)
		refusals := job.PublishAttempt + 1
		t.Error = fmt.Sprintf("publish %d of %d: %s by the broker: %s", refusals, d.cfg.MaxPublishAttempts, outcome.Status, outcome.Reason)
		attrs := []any{"kind", job.Kind, "id", job.ID, "exchange", job.Exchange, "routing_key", job.RoutingKey, "error", t.Error}
		if refusals >= d.cfg.MaxPublishAttempts {
			d.dead.Add(1)
			t.To = ackbox.Dead
			d.cfg.Logger.Error("dispatcher: the broker refused a job for the last time; it is dead", attrs...)
			break
		}
		t.To = ackbox.Nacked
		t.After = d.cfg.Backoff.Next(refusals)
		d.cfg.Logger.Warn("dispatcher: the broker refused a job", append(attrs, "retry_in", t.After)...)
	case ackbox.Unknown:
		// Neither acked nor refused: the message may have arrived. The row
		// stays publishable, and says that another copy may be about.
		d.unknown.Add(1)
		t.To = ackbox.Pending
	}
	return t
}
