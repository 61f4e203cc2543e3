package rabbitmq

import (
	"context"
	"log/slog"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ackbox/ackbox"
)

// What the external tests look at without a server.
var (
	JobMessage = jobMessage
	JobFrom    = jobFrom
	CopyOf     = copyOf
	RungFor    = rungFor
	RetryArgs  = retryArgs
	QueueArgs  = queueArgs
	Explain    = explain
	Permanent  = permanent
	Truncate   = truncate
	TableSize  = tableSize
)

// NewReceipt is a receipt as Consume makes it.
func NewReceipt(original amqp.Delivery) ackbox.Receipt { return &receipt{original: original} }

// Message is the AMQP part of an outgoing message.
func (o outgoing) Message() amqp.Publishing { return o.message }

// Stalls are stalls of queues, by their names.
type Stalls struct{ stalls stalls }

// NewStalls returns Stalls that know of none.
func NewStalls(log *slog.Logger) *Stalls { return &Stalls{stalls{log: log}} }

// Admits is stalls.admits.
func (s *Stalls) Admits(queue string) bool { return s.stalls.admits(destination{key: queue}) }

// Patience is stalls.patience.
func (s *Stalls) Patience(queue string) time.Duration {
	return s.stalls.patience(destination{key: queue})
}

// Add is stalls.add.
func (s *Stalls) Add(ctx context.Context, queue string, limit time.Duration) {
	s.stalls.add(ctx, destination{key: queue}, limit)
}

// Answered is stalls.answered, for one message that was acked.
func (s *Stalls) Answered(ctx context.Context, queue string) {
	s.stalls.answered(ctx, []int{0}, func(int) destination { return destination{key: queue} }, []ackbox.Outcome{{Status: ackbox.Acked}})
}
