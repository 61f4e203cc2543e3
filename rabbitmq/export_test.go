package rabbitmq

import (
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
