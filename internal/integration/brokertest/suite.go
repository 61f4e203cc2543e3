// Package brokertest is the conformance suite of Ackbox's brokers: what
// dispatcher and worker rely on, checked in the same words on package memory
// and on package rabbitmq. A broker that passes can take the place of another.
//
// Every test runs in parallel with the others on a broker of its own, waits
// for events and not for time to pass, and gives up at [Deadline].
package brokertest

import (
	"context"
	"testing"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
)

// Deadline bounds every single test of the suite. It is generous: it passes
// only if something hangs.
const Deadline = 60 * time.Second

// MaxMessageBytes is the size limit that the broker under test must have. The
// largest message takes several AMQP frames.
const MaxMessageBytes = 256 << 10

// Ladder returns the retry ladder that the broker under test must have.
func Ladder() []time.Duration {
	return []time.Duration{200 * time.Millisecond, 2 * time.Second}
}

// Broker is what the suite tests: all that package rabbitmq and package memory
// have in common. Users of a broker declare smaller interfaces.
type Broker interface {
	Queues() []string
	Ready(ctx context.Context) error
	Publish(ctx context.Context, jobs []ackbox.Job) []core.Outcome
	Consume(ctx context.Context, queue string, prefetch int, handle func(core.Delivery)) error
	Retry(ctx context.Context, d core.Delivery, delay time.Duration) error
	Bury(ctx context.Context, d core.Delivery, cause string) error
	Dead(ctx context.Context, queue string, filter ackbox.DeadFilter, limit int) (ackbox.DeadReport, error)
	RequeueDead(ctx context.Context, queue string, filter ackbox.DeadFilter, limit int) (int, error)
	DeleteDead(ctx context.Context, queue string, filter ackbox.DeadFilter, limit int) (int, error)
	Waiting(ctx context.Context, queue string) (int, error)
	Close() error
}

// Factory returns a broker with that topology, [Ladder] and [MaxMessageBytes],
// whose queues are empty and shared with no other test. It fails the test if
// it cannot. The suite closes the broker.
type Factory func(t *testing.T, topology ackbox.Topology) Broker

// Run runs the suite on the brokers that factory makes, one for each subtest.
func Run(t *testing.T, factory func(t *testing.T, topology ackbox.Topology) Broker) {
	t.Helper()
	tests := []struct {
		name     string
		topology ackbox.Topology
		run      func(*fixture)
	}{
		{"RoundTrip", oneQueue(), roundTrip},
		{"EmptyBatch", oneQueue(), emptyBatch},
		{"Unroutable", unroutableTopology(), unroutable},
		{"FullQueue", fullQueueTopology(), fullQueue},
		{"MissingExchange", oneQueue(), missingExchange},
		{"Oversized", oneQueue(), oversized},
		{"OverlongName", oneQueue(), overlongName},
		{"Routing", routingTopology(), routing},
		{"ConcurrentPublish", oneQueue(), concurrentPublish},
		{"Prefetch", oneQueue(), prefetch},
		{"Requeue", oneQueue(), requeue},
		{"SettleOnce", oneQueue(), settleOnce},
		{"GracefulStop", oneQueue(), gracefulStop},
		{"TwoConsumersShare", oneQueue(), twoConsumersShare},
		{"UnknownQueue", unknownQueueTopology(), unknownQueue},
		{"Waiting", oneQueue(), waiting},
		{"Retry", oneQueue(), retry},
		{"RetryBlocksNothing", oneQueue(), retryBlocksNothing},
		{"BuryAndRequeue", oneQueue(), buryAndRequeue},
		{"Strays", oneQueue(), strays},
		{"Renewals", oneQueue(), renewals},
		{"MessageIsKept", messageTopology(), messageIsKept},
		{"ForwardedMessage", messageTopology(), forwardedMessage},
		{"Queues", unknownQueueTopology(), queues},
		{"DeadIsListed", oneQueue(), deadIsListed},
		{"DeadIsMoved", oneQueue(), deadIsMoved},
		{"DeadIsRefused", oneQueue(), deadIsRefused},
		{"RequeueDeadLimit", oneQueue(), requeueDeadLimit},
		{"CloseWhileConsuming", oneQueue(), closeWhileConsuming},
		{"AfterClose", oneQueue(), afterClose},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.run(open(t, factory, tt.topology))
		})
	}
}
