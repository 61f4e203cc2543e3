package ackbox

import "context"

// Health is how one part of Ackbox is, in one process.
type Health struct {
	// Part names it: "store", "dispatcher", "worker", "sweeper", "rabbitmq", "memory".
	Part string `json:"part"`
	// Live is false of a part that only a restart can mend: its Run has ended, or its
	// handlers take all slots and do not return.
	Live bool `json:"live"`
	// Ready is false of a part that can do nothing at present: its server is away.
	Ready bool `json:"ready"`
	// Why says what is not well, in words for an operator, never a password; empty if all
	// is well.
	Why string `json:"why,omitempty"`
}

// HealthChecker is a part that tells how it is: *outbox.Store, *dispatcher.Dispatcher,
// *worker.Worker, *retry.Sweeper, *rabbitmq.Broker and *memory.Broker. Health takes a
// second at most, and is safe for concurrent use.
type HealthChecker interface {
	Health(ctx context.Context) Health
}
