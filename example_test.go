package ackbox_test

import (
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
