package dashboard

import (
	"context"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/outbox"
)

// Ledger is what the page reads and changes: an *outbox.Store.
type Ledger interface {
	reader
	operator
}

type reader interface {
	Get(ctx context.Context, id string) (outbox.Entry, error)
	List(ctx context.Context, f outbox.Filter, after string, limit int) (outbox.Page, error)
	Count(ctx context.Context, f outbox.Filter) (outbox.Count, error)
	GivenUp(ctx context.Context, f outbox.Filter) ([]outbox.Group, int, error)
	QueueStatus(ctx context.Context) ([]outbox.QueueStatus, error)
	Instances(ctx context.Context) ([]outbox.Instance, error)
	Stats(ctx context.Context, q outbox.StatsQuery) ([]outbox.Stat, error)
	Operation(ctx context.Context, id string) (outbox.Operation, error)
	Operations(ctx context.Context, after string, limit int) ([]outbox.Operation, string, error)
	Rehearse(ctx context.Context, action outbox.Action, f outbox.Filter) (outbox.Rehearsal, error)
}

// operator's methods record who did it, as [outbox.By] has named him, in the same transaction.
type operator interface {
	Requeue(ctx context.Context, ids ...string) (int, error)
	Cancel(ctx context.Context, ids ...string) (int, error)
	RunNow(ctx context.Context, ids ...string) (int, error)
	Reschedule(ctx context.Context, at time.Time, ids ...string) (int, error)
	Delete(ctx context.Context, ids ...string) (int, error)
	Pause(ctx context.Context, queue, reason string) error
	Resume(ctx context.Context, queue string) error
	StartOperation(ctx context.Context, action outbox.Action, f outbox.Filter, reason string) (outbox.Operation, error)
	StopOperation(ctx context.Context, id string) error
	ContinueOperation(ctx context.Context, id string) error
}

// Broker is what the page asks of the broker: *rabbitmq.Broker, or *memory.Broker.
type Broker interface {
	ackbox.HealthChecker
	// Queues names the work queues.
	Queues() []string
	// Waiting tells how many messages wait in a queue.
	Waiting(ctx context.Context, queue string) (int, error)
	// Dead looks into a queue's dead queue; the other two move and delete what is there.
	Dead(ctx context.Context, queue string, filter ackbox.DeadFilter, limit int) (ackbox.DeadReport, error)
	RequeueDead(ctx context.Context, queue string, filter ackbox.DeadFilter, limit int) (int, error)
	DeleteDead(ctx context.Context, queue string, filter ackbox.DeadFilter, limit int) (int, error)
}
