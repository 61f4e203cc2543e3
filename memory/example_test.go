package memory_test

import (
	"context"
	"fmt"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/memory"
)

func Example() {
	broker, err := memory.New(memory.Config{
		Topology: ackbox.Topology{
			Exchanges: []ackbox.Exchange{{Name: "shop", Kind: ackbox.Topic}},
			Queues: []ackbox.Queue{{
				Name:     "mail",
				Bindings: []ackbox.Binding{{Exchange: "shop", RoutingKey: "order.*"}},
			}},
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = broker.Close() }()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()

	outcomes := broker.Publish(ctx, []ackbox.Job{
		{ID: "1", Kind: "order.paid", Exchange: "shop", RoutingKey: "order.paid", Mandatory: true, Payload: []byte(`{"order":7}`)},
		{ID: "2", Kind: "stock.low", Exchange: "shop", RoutingKey: "stock.low", Mandatory: true},
	})
	for _, o := range outcomes {
		fmt.Printf("%s %q\n", o.Status, o.Reason)
	}

	err = broker.Consume(ctx, "mail", 10, func(d core.Delivery) {
		fmt.Printf("%s from queue %s: %s\n", d.Kind, d.Queue, d.Payload)
		if err := d.Receipt.Ack(); err != nil {
			fmt.Println(err)
		}
		stop()
	})
	fmt.Println("stopped:", err)
	// Output:
	// acked ""
	// returned "no queue is bound to exchange \"shop\" with routing key \"stock.low\""
	// order.paid from queue mail: {"order":7}
	// stopped: <nil>
}

// An outage, as a test provokes it: what a handler held comes back.
func ExampleBroker_SetAway() {
	broker, err := memory.New(memory.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = broker.Close() }()
	ctx := context.Background()
	job := ackbox.Job{ID: "1", Kind: "report", Queue: ackbox.DefaultQueue, RoutingKey: ackbox.DefaultQueue}
	broker.Publish(ctx, []ackbox.Job{job})

	err = broker.Consume(ctx, ackbox.DefaultQueue, 1, func(d core.Delivery) {
		broker.SetAway(true)
		fmt.Println(d.Receipt.Ack())
		fmt.Println(broker.Publish(ctx, []ackbox.Job{job})[0].Status)
	})
	fmt.Println(err)

	broker.SetAway(false)
	n, err := broker.Waiting(ctx, ackbox.DefaultQueue)
	fmt.Println(n, err)
	// Output:
	// memory: ack of message 1: the broker is away
	// unknown
	// memory: consuming queue "default": the broker is away
	// 1 <nil>
}

// Messages that were given up for one reason are looked at, brought back, and those that
// nobody wants deleted. Package rabbitmq has the same methods.
func ExampleBroker_Dead() {
	broker, err := memory.New(memory.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = broker.Close() }()
	ctx := context.Background()
	for id, cause := range []string{"no stock of 7", "the address is unknown", "no stock of 9"} {
		job := ackbox.Job{ID: fmt.Sprint(id), Kind: "order.paid", Queue: ackbox.DefaultQueue, Attempt: 25}
		if err := broker.Bury(ctx, core.Delivery{Job: job}, cause); err != nil { // as a worker does
			fmt.Println(err)
		}
	}

	noStock := ackbox.DeadFilter{Kind: "order.paid", Error: "no stock"}
	report, err := broker.Dead(ctx, ackbox.DefaultQueue, noStock, 10) // the dry run
	fmt.Println(report.Matched, "of", report.Looked, err)
	for _, m := range report.Messages {
		fmt.Println(m.ID, m.Kind, m.Attempt, m.Error)
	}
	moved, err := broker.RequeueDead(ctx, ackbox.DefaultQueue, noStock, 10)
	fmt.Println(moved, err)
	deleted, err := broker.DeleteDead(ctx, ackbox.DefaultQueue, ackbox.DeadFilter{ID: "1"}, 1)
	fmt.Println(deleted, err)
	_, err = broker.DeleteDead(ctx, ackbox.DefaultQueue, ackbox.DeadFilter{}, 10)
	fmt.Println(err)
	// Output:
	// 2 of 3 <nil>
	// 0 order.paid 25 no stock of 7
	// 2 order.paid 25 no stock of 9
	// 2 <nil>
	// 1 <nil>
	// memory: deleting dead messages of "default": the filter is empty, which would delete everything: set a field of ackbox.DeadFilter, or All
}
