package core

import "fmt"

// Status is what a broker did with one published message.
type Status int

const (
	// Unknown means that no answer came: the connection was lost or the
	// deadline passed. The message may or may not have arrived; it is never
	// treated as acked nor as refused. It is the zero Status, so that an
	// outcome nobody filled in cannot be mistaken for a success.
	Unknown Status = iota
	// Acked means confirmed by the broker and, for a mandatory message, routed
	// to at least one queue.
	Acked
	// NackedByBroker means refused: basic.nack (a full queue), a missing
	// exchange, a message over the broker's size limit.
	NackedByBroker
	// Returned means that no queue was bound: the broker sent the message back
	// (and acked it, which counts for nothing).
	Returned
)

// String returns the status in lower case, as logs and metrics show it.
func (s Status) String() string {
	switch s {
	case Unknown:
		return "unknown"
	case Acked:
		return "acked"
	case NackedByBroker:
		return "nacked"
	case Returned:
		return "returned"
	}
	return fmt.Sprintf("status(%d)", int(s))
}

// Outcome is the broker's answer for one message of a batch.
type Outcome struct {
	Status Status
	// Reason says why a message was not acked, in words for an operator. It
	// never holds a payload, a URL or a password.
	Reason string
	// OfMessage, beside [NackedByBroker], says that it is the message that is refused
	// (too large, say), so that its queue may well take others.
	OfMessage bool
	// Stalled, beside [Unknown], says that the broker does answer, only not for
	// this message's destination (a quorum queue without a leader). It is worth
	// waiting before the message is published again, so that others can go on.
	Stalled bool
	// Unpublished, beside [Unknown], says that the message was not put on the
	// wire at all, so that no copy of it can be about: its row needs no note.
	Unpublished bool
}
