package worker

import (
	"context"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
)

// Ledger is the part of the jobs table that a worker needs; *outbox.Store is
// one. All its methods are safe for concurrent use.
type Ledger interface {
	// Identity returns what ackbox.Job.Ledger is of this ledger's jobs. It never
	// changes. A worker consumes nothing before it has had an answer.
	Identity(ctx context.Context) (string, error)
	// Beat says that an instance lives, and learns who else does. It is a write, so
	// it succeeds only where outcomes can be recorded, too.
	Beat(ctx context.Context, self core.Instance) (core.Census, error)
	// Leave ends an instance: what it holds is in nobody's hands from then on.
	Leave(ctx context.Context, id string) error
	// Ran counts a run of which the outcome is durable. It must not wait. WriteStats writes
	// down what was counted if it is time, or if all is true.
	Ran(r core.Ran)
	WriteStats(ctx context.Context, all bool) error
	// Start answers, in order, how jobs stand that are about to be run by holder,
	// and records and counts those starts. Asked again for a start that holder has on
	// record it counts it once. It fails for an instance that has not beaten lately.
	Start(ctx context.Context, holder string, jobs []ackbox.Job) ([]core.Standing, error)
	// Hold records that jobs are in holder's hands, and returns a verdict for each,
	// in order: Recorded, Busy, Held, Stale or Missing. Repeating it does no harm.
	Hold(ctx context.Context, holder string, holdings []core.Holding) ([]core.Verdict, error)
	// Reconcile lets go of what has been on record for holder for a minute and is
	// not among inHand.
	Reconcile(ctx context.Context, holder string, inHand []string) error
	// Received tells what became of a message without a row whose handler calls
	// outbox.Complete: Started, that it may be run; Stale, that its effect is committed;
	// GivenUp, that it was given up and has to go to the dead queue.
	Received(ctx context.Context, job ackbox.Job) (core.Verdict, error)
	// Refused hands holder up to limit jobs of queues that the broker has refused
	// for too long. They count as started.
	Refused(ctx context.Context, holder string, queues []string, limit int) ([]ackbox.Job, error)
	// Finish records outcomes and returns a verdict for each, in order: Recorded,
	// Busy, Stale or Missing. It is idempotent.
	Finish(ctx context.Context, transitions []core.Transition) ([]core.Verdict, error)
	// Announce tells that Finish will be called with t soon, so that a dispatcher of
	// the same process that has the row locked may record it. It must not wait.
	Announce(t core.Transition)
	// Released receives after a dispatcher has let go of announced rows, so that
	// Finish need not be tried in vain. It may miss some, or be nil.
	Released() <-chan struct{}
}

// Broker is the part of a message broker that a worker needs; *rabbitmq.Broker
// and *memory.Broker are two. All its methods are safe for concurrent use.
type Broker interface {
	// Queues lists the queues of the broker's topology.
	Queues() []string
	// Consume hands the queue's messages to handle, at most prefetch of them
	// unsettled. When ctx ends it stops intake, waits until all that were
	// handed out are settled and returns nil; a lost subscription is an error.
	Consume(ctx context.Context, queue string, prefetch int, handle func(core.Delivery)) error
	// Retry parks a copy of a message without a row in this ledger for delay.
	Retry(ctx context.Context, d core.Delivery, delay time.Duration) error
	// Bury puts a copy of a message without a row in this ledger into the dead
	// queue.
	Bury(ctx context.Context, d core.Delivery, cause string) error
}
