package ackbox_test

import (
	"context"
	"fmt"

	"github.com/ackbox/ackbox"
)

// Name queues and exchanges once, in Go, and have them checked before anything
// starts.
func ExampleTopology() {
	topology := ackbox.Topology{
		Exchanges: []ackbox.Exchange{{Name: "shop", Kind: ackbox.Topic}},
		Queues: []ackbox.Queue{
			{Name: "orders", Bindings: []ackbox.Binding{{Exchange: "shop", RoutingKey: "order.*"}}},
			{Name: "mail", MaxLength: 100_000},
		},
	}
	fmt.Println(topology.QueueNames(), topology.Validate())

	topology.Queues[0].Bindings[0].Exchange = "shopp"
	fmt.Println(topology.Validate())
	// Output:
	// [orders mail] <nil>
	// ackbox: Queues[0].Bindings[0].Exchange "shopp" is not among Exchanges
}

// A logger, or a client that wants an idempotency key, finds the job in the context.
func ExampleRunFrom() {
	key := func(ctx context.Context) string {
		run, ok := ackbox.RunFrom(ctx)
		if !ok {
			return "not in a handler"
		}
		return run.Job.ID
	}
	fmt.Println(key(context.Background()))

	// A worker does this, and so does a test of a handler.
	ctx := ackbox.WithRun(context.Background(), ackbox.Run{Job: ackbox.Job{ID: "018f", Kind: "order.confirm"}})
	fmt.Println(key(ctx))
	// Output:
	// not in a handler
	// 018f
}
