package ackbox

import (
	"fmt"
	"time"
)

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
	// Stalled, beside [Unknown], says that the broker does answer, only not for
	// this message's destination (a quorum queue without a leader). It is worth
	// waiting before the message is published again, so that others can go on.
	Stalled bool
	// Unpublished, beside [Unknown], says that the message was not put on the
	// wire at all, so that no copy of it can be about: its row needs no note.
	Unpublished bool
}

// Transition asks the ledger to move one job's row to another state. It is
// guarded: the row changes only if it still is at Attempt and in a state from
// which To can be reached, so a late or repeated Transition does no harm.
type Transition struct {
	// ID and Attempt name the row and the try that was read.
	ID      string
	Attempt int
	// To is the state to enter.
	To State
	// After is the pause before a Pending or Nacked job is due again, counted
	// by the database's clock. Negative counts as zero.
	After time.Duration
	// Charge makes a Transition to Pending use up a try (Attempt+1). Without
	// it the same try is sent again as another copy (Resend+1).
	Charge bool
	// Error is recorded as the row's last error and added to its list of
	// errors; empty records nothing.
	Error string
}

// Verdict is the ledger's answer about one try of a job: what became of a
// [Transition], or how a copy stands that was delivered.
type Verdict int

const (
	// Busy means that the row is locked by a dispatcher whose batch is still on
	// the wire: ask again in a few milliseconds. It is the zero Verdict.
	Busy Verdict = iota
	// Recorded means that the row has changed and the change is committed.
	Recorded
	// Stale means that the row is finished or was superseded: there is nothing
	// left to record.
	Stale
	// Missing means that the ledger has no such row: it was purged long ago, or
	// the database was restored to a time before the job. There is nothing to
	// record it in.
	Missing
	// Current means that a delivered copy is the one that the ledger wants run.
	// No Transition is answered with it.
	Current
)

// String returns the verdict in lower case.
func (v Verdict) String() string {
	switch v {
	case Busy:
		return "busy"
	case Recorded:
		return "recorded"
	case Stale:
		return "stale"
	case Missing:
		return "missing"
	case Current:
		return "current"
	}
	return fmt.Sprintf("verdict(%d)", int(v))
}
