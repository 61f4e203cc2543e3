package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/beat"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/internal/hook"
)

// Dispatcher carries jobs from an [Outbox] to a [Broker].
type Dispatcher struct {
	outbox Outbox
	broker Broker
	cfg    Config
	life   beat.Life
	crowd  crowd
	// refusing are the queues that take nothing at present.
	refusing refusing
	trouble  trouble
	hooks    *hook.List

	sent, refused, dead, unknown atomic.Int64
}

// Stats are the jobs that a [Dispatcher] has seen since it was made.
type Stats struct {
	// Sent jobs were confirmed and routed.
	Sent int64
	// Refused jobs were nacked or returned, each time they were.
	Refused int64
	// Dead jobs were refused for longer than Config.RefusalLimit, which events are
	// dead of; the FailAction of others is called by a worker.
	Dead int64
	// Unknown jobs got no answer, or could not be put on the wire, each time they
	// were claimed.
	Unknown int64
}

// New returns a Dispatcher. It does no I/O and starts nothing. It fails on a
// nil store or broker, on every bad field of cfg, by name, and on a store whose queues
// are not all in the broker's topology.
func New(store Outbox, broker Broker, cfg Config) (*Dispatcher, error) {
	switch {
	case absent(store):
		return nil, errors.New("dispatcher: the store is nil: pass an *outbox.Store")
	case absent(broker):
		return nil, errors.New("dispatcher: the broker is nil: pass a *rabbitmq.Broker or *memory.Broker")
	}
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	for _, queue := range store.Queues() {
		if known := broker.Queues(); !slices.Contains(known, queue) {
			return nil, fmt.Errorf("dispatcher: jobs may name queue %q (outbox.Config.Queues), but the broker's Config.Topology has %q: give both the same", queue, known)
		}
	}
	return &Dispatcher{outbox: store, broker: broker, cfg: cfg, hooks: hook.New(cfg.Hooks, cfg.Logger)}, nil
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
	if !d.life.Begin() {
		return errors.New("dispatcher: Run was called while it runs already")
	}
	defer d.life.End()
	d.cfg.Logger.InfoContext(ctx, "dispatcher: started", "queues", d.outbox.Queues(), "batch_size", d.cfg.BatchSize, "in_flight", d.cfg.InFlight)
	defer func() { d.cfg.Logger.InfoContext(ctx, "dispatcher: stopped", "sent", d.sent.Load()) }()

	// One lane at a time looks for work; it passes the turn on when it has a
	// batch, so that claims never compete and publishing overlaps.
	turn := make(chan *pace, 1)
	turn <- &pace{interval: d.cfg.PollInterval}
	wake, wakeQuiet := make(chan struct{}, 1), make(chan struct{}, 1)
	beside, stop := context.WithCancel(ctx)
	defer stop()
	var helpers, lanes errgroup.Group
	helpers.Go(func() error { spread(beside, d.outbox.Wake(), wake, wakeQuiet); return nil })
	presence := newPresence(d)
	helpers.Go(func() error { presence.run(beside); return nil })
	helpers.Go(func() error { d.quietLane(beside, turn, wakeQuiet); return nil })
	for range d.cfg.InFlight {
		lanes.Go(func() error { return d.lane(ctx, turn, wake) })
	}
	err := lanes.Wait()
	presence.writeLast(ctx) // the last batches are counted by now
	stop()
	return errors.Join(err, helpers.Wait())
}

// spread passes every signal of from on to each of to, until ctx ends.
func spread(ctx context.Context, from <-chan struct{}, to ...chan<- struct{}) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-from:
		}
		for _, c := range to {
			select {
			case c <- struct{}{}:
			default: // one is waiting there already
			}
		}
	}
}

// lane claims, publishes and records one batch after the other. It ends with
// ctx or with the broker.
func (d *Dispatcher) lane(ctx context.Context, turn chan *pace, wake <-chan struct{}) error {
	trouble := time.Duration(0) // the last pause after a failure
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
		var err error
		if p.wait(ctx, wake) {
			err = d.batch(ctx, p, core.Claim{Limit: d.cfg.BatchSize}, pass)
		}
		switch {
		case err == nil:
			trouble = 0
		case ctx.Err() != nil && !passed: // told to stop before there was a batch
		case errors.Is(err, ackbox.ErrClosed) && ctx.Err() == nil:
			pass()
			return fmt.Errorf("dispatcher: %w", err)
		default:
			trouble = min(max(minTrouble, 2*trouble), maxTrouble)
			d.failed(ctx, err, trouble)
			// Before a claim, the lanes that wait for their turn would only meet
			// the same; after it they may have it, and see for themselves.
			sleep(ctx, jitter(trouble))
		}
		pass()
	}
}

// failed says that a batch did not come through.
func (d *Dispatcher) failed(ctx context.Context, err error, retryIn time.Duration) {
	if n, told := d.trouble.failed(err); told {
		d.cfg.Logger.ErrorContext(ctx, "dispatcher: batches fail; their jobs stay publishable", "error", err, "retry_in", retryIn, "failures", n)
	}
}

// batch carries one batch, if there is work. It calls pass as soon as the claim
// is made.
func (d *Dispatcher) batch(ctx context.Context, p *pace, claim core.Claim, pass func()) error {
	// Nothing is claimed, nor written, while the broker is away.
	came := d.trouble.wait()
	err := d.broker.Ready(ctx)
	came()
	if err != nil {
		return fmt.Errorf("wait for the broker: %w", err)
	}
	claim.Except = append(append(claim.Except, d.broker.Unavailable()...), d.refusing.paused()...)
	var a answers
	leave := func() {}
	defer func() { leave() }()
	n, err := d.outbox.Relay(ctx, claim, func(ctx context.Context, jobs []ackbox.Job) []core.Transition {
		full := len(jobs) >= claim.Limit
		if full {
			leave = d.crowd.enter(jobs)
		}
		p.found(full)
		pass()
		a = d.publish(ctx, jobs)
		return a.transitions
	})
	if err == nil {
		d.trouble.over()
		d.tell(ctx, a.told)
	}
	switch {
	case err != nil:
		return err
	case n == 0:
		p.empty()
	case a.unanswered > 0:
		return fmt.Errorf("the broker did not answer for %d of %d messages", a.unanswered, n)
	case a.left == n:
		// Nothing has changed: a look that follows at once finds the same.
		sleep(ctx, jitter(d.cfg.PollInterval))
	}
	return nil
}

// answers are what became of a batch.
type answers struct {
	transitions []core.Transition
	told        []ackbox.Published // nil where nobody is told
	unanswered  int                // those that are no answers
	left        int                // jobs that are left as they are
}

// publish turns the broker's outcomes into transitions.
func (d *Dispatcher) publish(ctx context.Context, jobs []ackbox.Job) answers {
	told := d.stamp(jobs)
	outcomes := d.broker.Publish(ctx, jobs)
	told.answered()
	d.refusing.learn(jobs, outcomes)
	a := answers{transitions: make([]core.Transition, len(jobs))}
	var refused, dead refusals
	for i, job := range jobs {
		var outcome core.Outcome // of a job the broker left out: unknown
		if i < len(outcomes) {
			outcome = outcomes[i]
		}
		t := d.transition(job, outcome)
		a.transitions[i] = t
		told.add(job, t, outcome)
		switch t.To {
		case "":
			a.left++
		case ackbox.Pending:
			if !outcome.Stalled { // the broker is well: no reason to pause
				a.unanswered++
			}
		case ackbox.Nacked:
			refused.add(job, t.Error)
		case ackbox.Refused, ackbox.Dead:
			dead.add(job, t.Error)
		default:
		}
	}
	refused.log(ctx, d.cfg.Logger, slog.LevelWarn, "dispatcher: the broker refused jobs; a sweeper (retry.NewSweeper) has them published again")
	dead.log(ctx, d.cfg.Logger, slog.LevelError, "dispatcher: the broker refused jobs for longer than RefusalLimit; they are given up, by a worker that calls FailAction or, if they are events, at once")
	a.told = told.list()
	return a
}

// transition says what the broker's answer makes of the job's row.
func (d *Dispatcher) transition(job ackbox.Job, outcome core.Outcome) core.Transition {
	t := core.Transition{ID: job.ID, Attempt: job.Attempt}
	switch outcome.Status {
	case core.Acked:
		d.sent.Add(1)
		t.To = ackbox.Sent
	case core.NackedByBroker, core.Returned:
		d.refused.Add(1)
		n := job.PublishAttempt + 1
		t.Error = fmt.Sprintf("publish %d: %s by the broker: %s", n, outcome.Status, outcome.Reason)
		if job.RefusedFor >= d.cfg.RefusalLimit {
			d.dead.Add(1)
			t.To = ackbox.Refused
			if job.Queue == "" {
				t.To = ackbox.Dead
			}
			break
		}
		t.To = ackbox.Nacked
		t.After = max(0, d.cfg.Backoff.Next(n))
	default:
		d.unknown.Add(1)
		if outcome.Unpublished && (job.Queue != "" || !outcome.Stalled) {
			// No copy is about, and the broker says which queues to leave alone:
			// an outage costs no writes.
			return core.Transition{}
		}
		// Neither acked nor refused: the message may have arrived. The row
		// stays publishable, and says that another copy may be about.
		t.To = ackbox.Pending
		if outcome.Stalled {
			// Not at once: nothing else keeps it from being claimed again and again.
			t.After = min(max(0, d.cfg.Backoff.Next(job.Resend+1)), maxStall)
		}
	}
	return t
}

// maxStall bounds the pause of a job whose destination does not answer: when it
// does again its jobs shall not sleep for long.
const maxStall = 30 * time.Second

// refusals gathers the refused jobs of a batch, so that a full queue costs a
// line for each batch and not for each job. The rows have every reason.
type refusals struct {
	n      int
	first  ackbox.Job
	reason string
}

func (r *refusals) add(job ackbox.Job, reason string) {
	if r.n == 0 {
		r.first, r.reason = job, reason
	}
	r.n++
}

func (r *refusals) log(ctx context.Context, logger *slog.Logger, level slog.Level, msg string) {
	if r.n == 0 {
		return
	}
	logger.Log(ctx, level, msg, //nolint:sloglint // both callers pass a constant
		"jobs", r.n, "first_kind", r.first.Kind, "first_id", r.first.ID,
		"exchange", r.first.Exchange, "routing_key", r.first.RoutingKey, "error", r.reason)
}
