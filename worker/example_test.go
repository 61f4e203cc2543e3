package worker_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/handler"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/memory"
	"github.com/ackbox/ackbox/retry"
	"github.com/ackbox/ackbox/worker"
)

// printed stands for an *outbox.Store: it says what would be recorded.
type printed struct{ finished chan struct{} }

func (p printed) Finish(_ context.Context, transitions []core.Transition) ([]core.Verdict, error) {
	verdicts := make([]core.Verdict, len(transitions))
	for i, t := range transitions {
		fmt.Printf("job %s try %d: %s (%s)\n", t.ID, t.Attempt, t.To, t.Error)
		verdicts[i] = core.Recorded
		p.finished <- struct{}{}
	}
	return verdicts, nil
}

func (printed) Start(_ context.Context, _ string, jobs []ackbox.Job) ([]core.Standing, error) {
	return slices.Repeat([]core.Standing{{Verdict: core.Started, Starts: 1}}, len(jobs)), nil
}

func (printed) Hold(_ context.Context, _ string, holdings []core.Holding) ([]core.Verdict, error) {
	return slices.Repeat([]core.Verdict{core.Recorded}, len(holdings)), nil
}

func (printed) Received(context.Context, ackbox.Job) (core.Verdict, error) { return core.Started, nil }

func (printed) Identity(context.Context) (string, error) { return "printed", nil }
func (printed) Beat(context.Context, core.Instance) (core.Census, error) {
	return core.Census{Sweepers: 1}, nil
}
func (printed) Ran(core.Ran)                                                         {}
func (printed) WriteStats(context.Context, bool) error                               { return nil }
func (printed) Leave(context.Context, string) error                                  { return nil }
func (printed) Reconcile(context.Context, string, []string) error                    { return nil }
func (printed) Announce(core.Transition)                                             {}
func (printed) Released() <-chan struct{}                                            { return nil }
func (printed) Refused(context.Context, string, []string, int) ([]ackbox.Job, error) { return nil, nil }

// charge is a handler: nil finishes the job, an error has it tried again, and
// what cannot succeed goes to FailAction at once.
type charge struct{}

func (charge) Consume(_ context.Context, job ackbox.Job) error {
	switch string(job.Payload) {
	case `"declined"`:
		return retry.Permanent(errors.New("the card was declined"))
	case `"busy"`:
		return errors.New("the bank is busy")
	}
	return nil
}

func (charge) FailAction(_ context.Context, job ackbox.Job, cause error) error {
	fmt.Printf("job %s is given up: %v\n", job.ID, cause)
	return nil
}

// With servers, pass outbox.NewStore(db, …) and a *rabbitmq.Broker; the rest
// stays as it is.
func Example() {
	broker, err := memory.New(memory.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = broker.Close() }()
	reg := handler.NewRegistry()
	reg.Handle("card.charge", charge{})
	ledger := printed{make(chan struct{})}

	w, err := worker.New(ledger, broker, reg, worker.Config{
		Queues:      []worker.Queue{{Name: ackbox.DefaultQueue}},
		Concurrency: 4,
		JobTimeout:  10 * time.Second,
		Logger:      slog.New(slog.DiscardHandler),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	stopped := make(chan error)
	go func() { stopped <- w.Run(ctx) }() // until ctx ends

	for id, payload := range []string{`"fine"`, `"busy"`, `"declined"`} {
		// A dispatcher would do this.
		broker.Publish(ctx, []ackbox.Job{{
			ID: fmt.Sprint(id), Kind: "card.charge", Queue: ackbox.DefaultQueue, RoutingKey: ackbox.DefaultQueue,
			Payload: []byte(payload), Attempt: 1, MaxAttempts: 3, Ledger: "printed",
		}})
		<-ledger.finished
	}
	stop()
	fmt.Println("stopped:", <-stopped)
	stats := w.Stats()
	fmt.Println(stats.Done, stats.Retried, stats.Dead)
	// Output:
	// job 0 try 1: done ()
	// job 1 try 1: pending (the bank is busy)
	// job 2 is given up: the card was declined
	// job 2 try 1: dead (the card was declined)
	// stopped: <nil>
	// 1 1 1
}

// told says what comes.
type told struct{ handled chan struct{} }

func (t told) Consume(_ context.Context, job ackbox.Job) error {
	fmt.Printf("%s %s: try %d\n", job.Kind, job.ID, job.Attempt)
	close(t.handled)
	return nil
}

// Other programs publish to the queue, each in its way: the kind is a property of one's
// messages, a header of another's, a field of the body where neither is; the id likewise.
// What an older receiver has counted in retry_nums goes on from there.
func ExampleMessages() {
	broker, err := memory.New(memory.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = broker.Close() }()
	handled := make(chan struct{})
	reg := handler.NewRegistry()
	reg.Handle("order.paid", told{handled})
	w, err := worker.New(printed{}, broker, reg, worker.Config{
		Queues: []worker.Queue{{Name: ackbox.DefaultQueue, Messages: worker.Messages{
			Kind:  []worker.Find{worker.FromType(), worker.FromHeader("event"), worker.FromBody("meta.type"), worker.Always("unknown")},
			ID:    []worker.Find{worker.FromMessageID(), worker.FromBody("meta.id"), worker.FromContent()},
			Tries: []worker.Find{worker.FromHeader("retry_nums")},
		}}},
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	stopped := make(chan error)
	go func() { stopped <- w.Run(ctx) }() // until ctx ends

	// Another program does this, in its language.
	broker.Publish(ctx, []ackbox.Job{{
		RoutingKey: ackbox.DefaultQueue, Headers: map[string]string{"retry_nums": "2"},
		Payload: []byte(`{"meta":{"type":"order.paid","id":4711}}`),
	}})
	<-handled
	stop()
	fmt.Println("stopped:", <-stopped)
	// Output:
	// order.paid 4711: try 3
	// stopped: <nil>
}
