package core

import (
	"time"

	"github.com/ackbox/ackbox"
)

// Delivery is a message in a worker's hands: the broker keeps it until the
// Receipt is settled.
type Delivery struct {
	ackbox.Job
	// Redelivered is the broker's flag: the message was handed out before and
	// came back without an acknowledgement.
	Redelivered bool
	// Returns counts how often the message came back to its queue without an
	// acknowledgement, as far as the broker counts (quorum queues do).
	Returns int
	// Limit is how many returns the broker bears before it drops the message; 0 if it
	// bears any number.
	Limit int
	// Strays counts how often the message was put aside by workers of other
	// ledgers than its own, which consume the same queue.
	Strays int
	// Renewals counts how often a message without a row was replaced by a fresh copy,
	// because it had come back so often that the broker would soon drop it.
	Renewals int
	// FirstSeen is when a worker first put a message without a row aside; zero before.
	FirstSeen time.Time
	// Receipt settles the delivery with the broker it came from.
	Receipt Receipt
}

// First reports whether this is the only copy that was ever handed out, as
// far as can be seen. Everything else asks the ledger before it runs.
func (d Delivery) First() bool {
	return !d.Redelivered && d.Attempt <= 1 && d.Resend == 0 && d.Strays == 0
}

// DeadSuffix ends the name of the queue beside a work queue that keeps what was given up
// and has no row.
const DeadSuffix = ".dead"

// Receipt settles one [Delivery], once. It belongs to the channel by which the
// delivery came: when that channel is gone both methods return an error and
// the broker hands the message out again, so a late answer can never settle a
// stranger's message. Implementations are safe for concurrent use.
type Receipt interface {
	// Ack tells the broker to forget the message.
	Ack() error
	// Requeue gives the message back, to be delivered again.
	Requeue() error
}

// BatchReceipt is a [Receipt] that can be acknowledged together with others, in
// fewer messages to the broker. It is optional.
type BatchReceipt interface {
	Receipt
	// AckAll acknowledges this delivery and those of others that came by the
	// same channel. It returns the rest, which are not acknowledged. One that is
	// settled already is passed over. If the channel is gone the broker hands
	// the messages out again.
	AckAll(others []Receipt) (rest []Receipt)
}
