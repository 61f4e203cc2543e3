package dispatcher_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/dispatcher"
	"github.com/ackbox/ackbox/internal/core"
)

// outbox is a jobs table in memory. Its hooks may be set before it is used.
type outbox struct {
	claim  func() error // called for each claim, before it
	commit func() error // called for each batch, after it was published

	mu       sync.Mutex
	pending  []ackbox.Job
	claims   []time.Time
	claiming int // now
	except   []string
	recorded []core.Transition
	batches  []int
	wake     chan struct{}
	beats    []core.Instance
	left     []string
	deaf     error // what Beat, Leave and WriteStats return
	written  []bool
}

func newOutbox(n int) *outbox {
	o := &outbox{wake: make(chan struct{}, 1)}
	o.add(n)
	return o
}

// add puts n jobs into the table, as a commit does.
func (o *outbox) add(n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for range n {
		id := fmt.Sprint(len(o.pending) + len(o.recorded) + 1)
		o.pending = append(o.pending, ackbox.Job{ID: id, Kind: "k", Queue: "q", RoutingKey: "q", Attempt: 1, Ledger: "ledger", Payload: []byte("secret")})
	}
}

func (o *outbox) signal() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

func (o *outbox) Wake() <-chan struct{} { return o.wake }

func (o *outbox) Queues() []string { return []string{"q"} }

func (o *outbox) Beat(_ context.Context, self core.Instance) (core.Census, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.beats = append(o.beats, self)
	return core.Census{Sweepers: 1}, o.deaf
}

func (o *outbox) WriteStats(_ context.Context, all bool) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.written = append(o.written, all)
	return o.deaf
}

func (o *outbox) Leave(_ context.Context, id string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.left = append(o.left, id)
	return o.deaf
}

func (o *outbox) Relay(ctx context.Context, claim core.Claim, publish func(context.Context, []ackbox.Job) []core.Transition) (int, error) {
	jobs, err := o.take(ctx, claim)
	if err != nil || len(jobs) == 0 {
		return 0, err
	}
	transitions := publish(context.WithoutCancel(ctx), jobs)
	if o.commit != nil {
		err = o.commit()
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if err != nil {
		o.pending = append(o.pending, jobs...)
		return len(jobs), err
	}
	o.recorded = append(o.recorded, transitions...)
	for i, t := range transitions {
		switch t.To {
		case "":
			o.pending = append(o.pending, jobs[i])
		case ackbox.Pending:
			jobs[i].Resend++
			o.pending = append(o.pending, jobs[i])
		default:
		}
	}
	return len(jobs), nil
}

func (o *outbox) take(ctx context.Context, claim core.Claim) ([]ackbox.Job, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	o.claims = append(o.claims, time.Now())
	if o.claiming++; o.claiming > 1 {
		return nil, fmt.Errorf("%d claims at once", o.claiming)
	}
	if o.claim != nil {
		o.mu.Unlock() // so that claims can meet, if they do
		err := o.claim()
		o.mu.Lock()
		if err != nil {
			o.claiming--
			return nil, err
		}
	}
	o.claiming--
	o.except = claim.Except
	var jobs, rest []ackbox.Job
	for _, job := range o.pending {
		if len(jobs) < claim.Limit && !slices.Contains(claim.Except, job.Queue) {
			jobs = append(jobs, job)
			continue
		}
		rest = append(rest, job)
	}
	o.pending = rest
	if n := len(jobs); n > 0 {
		o.batches = append(o.batches, n)
	}
	return jobs, nil
}

// claimsSince counts the claims after start.
func (o *outbox) claimsSince(start time.Time) (n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, c := range o.claims {
		if c.After(start) {
			n++
		}
	}
	return n
}

// states counts the recorded transitions by state.
func (o *outbox) states() map[ackbox.State]int {
	o.mu.Lock()
	defer o.mu.Unlock()
	counts := make(map[ackbox.State]int)
	for _, t := range o.recorded {
		counts[t.To]++
	}
	return counts
}

// broker is a Broker made of functions; without them it acks everything.
type broker struct {
	ready   func(context.Context) error
	publish func(context.Context, []ackbox.Job) []core.Outcome
	away    func() []string
}

func (b *broker) Ready(ctx context.Context) error {
	if b.ready == nil {
		return nil
	}
	return b.ready(ctx)
}

func (b *broker) Queues() []string { return []string{"q"} }

func (b *broker) Unavailable() []string {
	if b.away == nil {
		return nil
	}
	return b.away()
}

func (b *broker) Publish(ctx context.Context, jobs []ackbox.Job) []core.Outcome {
	if b.publish == nil {
		return all(core.Acked, jobs)
	}
	return b.publish(ctx, jobs)
}

func all(s core.Status, jobs []ackbox.Job) []core.Outcome {
	outcomes := make([]core.Outcome, len(jobs))
	for i := range outcomes {
		outcomes[i] = core.Outcome{Status: s, Reason: "because"}
	}
	return outcomes
}

func newDispatcher(t *testing.T, o dispatcher.Outbox, b dispatcher.Broker, cfg dispatcher.Config) *dispatcher.Dispatcher {
	t.Helper()
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	d, err := dispatcher.New(o, b, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// run runs d until the returned function is called, which waits for its end
// and fails the test if that was not a nil error.
func run(t *testing.T, d *dispatcher.Dispatcher) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	return func() {
		t.Helper()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
}

// advance lets d pass on a bubble's clock, and waits for what happens then.
func advance(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}
