package rabbitmq

import (
	"context"
	"log/slog"
	"net"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
)

// What the external tests look at without a server.
var (
	JobMessage = jobMessage
	JobFrom    = jobFrom
	CopyOf     = copyOf
	RungsFor   = rungsFor
	RetryArgs  = retryArgs
	QueueArgs  = queueArgs
	Explain    = explain
	Permanent  = permanent
	Truncate   = truncate
	TableSize  = tableSize
	Deleted    = deleted
)

// NewReceipt is a receipt as Consume makes it.
func NewReceipt(original amqp.Delivery) core.Receipt { return &receipt{original: original} }

// Message is the AMQP part of an outgoing message.
func (o outgoing) Message() amqp.Publishing { return o.message }

// Stalls are stalls of queues, by their names.
type Stalls struct{ stalls stalls }

// NewStalls returns Stalls that know of none.
func NewStalls(log *slog.Logger) *Stalls { return &Stalls{stalls{log: log}} }

// Admits is stalls.admits.
func (s *Stalls) Admits(queue string) bool { return s.stalls.admits(destination{queue: queue}) }

// Patience is stalls.patience.
func (s *Stalls) Patience(queue string) time.Duration {
	return s.stalls.patience(destination{queue: queue})
}

// Unavailable is stalls.queues.
func (s *Stalls) Unavailable() []string { return s.stalls.queues() }

// AdmitsEvent is stalls.admits for a routing key of the exchange "x".
func (s *Stalls) AdmitsEvent(key string) bool {
	return s.stalls.admits(destination{exchange: "x", key: key})
}

// EventPatience is stalls.patience for one.
func (s *Stalls) EventPatience(key string) time.Duration {
	return s.stalls.patience(destination{exchange: "x", key: key})
}

// AddEvent is stalls.add for one.
func (s *Stalls) AddEvent(ctx context.Context, key string) {
	s.stalls.add(ctx, destination{exchange: "x", key: key}, time.Minute)
}

// EventAnswered is stalls.answered for one that was acked.
func (s *Stalls) EventAnswered(ctx context.Context, key string) {
	s.stalls.answered(ctx, []int{0}, func(int) destination { return destination{exchange: "x", key: key} }, []core.Outcome{{Status: core.Acked}})
}

// SameStall reports whether two jobs are put off together.
func SameStall(a, b ackbox.Job) bool { return destinationOf(&a) == destinationOf(&b) }

// Add is stalls.add.
func (s *Stalls) Add(ctx context.Context, queue string, limit time.Duration) {
	s.stalls.add(ctx, destination{queue: queue}, limit)
}

// Answered is stalls.answered, for one message that was acked.
func (s *Stalls) Answered(ctx context.Context, queue string) {
	s.stalls.answered(ctx, []int{0}, func(int) destination { return destination{queue: queue} }, []core.Outcome{{Status: core.Acked}})
}

// Socket is a socket on any connection.
type Socket struct{ *socket }

// NewSocket returns one.
func NewSocket(conn net.Conn, timeout time.Duration) Socket {
	return Socket{&socket{Conn: conn, timeout: timeout}}
}

// Cork is socket.cork.
func (s Socket) Cork() { s.cork() }

// Uncork is socket.uncork.
func (s Socket) Uncork() { s.uncork() }

// NewReceipts are receipts of one subscription that a broker of the test's own
// answers for.
func NewReceipts(acknowledger amqp.Acknowledger, conn net.Conn) (next func(tag uint64) core.Receipt, pending func() int64) {
	s := &subscription{g: &generation{sock: &socket{Conn: conn, timeout: time.Minute}}, progress: make(chan struct{}, 1)}
	return func(tag uint64) core.Receipt {
		return s.delivery(amqp.Delivery{Acknowledger: acknowledger, DeliveryTag: tag}).Receipt
	}, s.pending.Load
}
