package dispatcher_test

import (
	"context"
	"fmt"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/dispatcher"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/memory"
)

// twoJobs stands for an *outbox.Store: a table with two committed jobs.
type twoJobs struct {
	jobs     []ackbox.Job
	finished func()
}

func (t *twoJobs) Wake() <-chan struct{} { return nil }

func (*twoJobs) Beat(context.Context, core.Instance) (core.Census, error) { return core.Census{}, nil }

func (*twoJobs) WriteStats(context.Context, bool) error { return nil }

func (*twoJobs) Leave(context.Context, string) error { return nil }

func (*twoJobs) Queues() []string { return []string{ackbox.DefaultQueue} }

func (t *twoJobs) Relay(ctx context.Context, claim core.Claim, publish func(context.Context, []ackbox.Job) []core.Transition) (int, error) {
	n := min(claim.Limit, len(t.jobs))
	if n == 0 {
		return 0, nil
	}
	jobs := t.jobs[:n]
	t.jobs = t.jobs[n:] // the next batch is claimed while this one is on the wire
	for _, tr := range publish(ctx, jobs) {
		fmt.Printf("job %s is %s (%s)\n", tr.ID, tr.To, tr.Error)
	}
	t.finished()
	return n, nil
}

// With a database, pass outbox.NewStore(db, …) and a *rabbitmq.Broker; the
// rest stays as it is.
func Example() {
	broker, err := memory.New(memory.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer broker.Close()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	store := &twoJobs{finished: stop, jobs: []ackbox.Job{
		{ID: "1", Kind: "order.confirm", Queue: "default", RoutingKey: "default", Mandatory: true, Attempt: 1},
		{ID: "2", Kind: "order.confirm", Queue: "nowhere", RoutingKey: "nowhere", Mandatory: true, Attempt: 1},
	}}

	d, err := dispatcher.New(store, broker, dispatcher.Config{PollInterval: 100 * time.Millisecond})
	if err != nil {
		fmt.Println(err)
		return
	}
	err = d.Run(ctx) // until ctx ends
	fmt.Println("stopped:", err)
	fmt.Printf("%+v\n", d.Stats())
	// Output:
	// job 1 is sent ()
	// job 2 is nacked (publish 1: returned by the broker: no queue is bound to exchange "" with routing key "nowhere")
	// stopped: <nil>
	// {Sent:1 Refused:1 Dead:0 Unknown:0}
}
