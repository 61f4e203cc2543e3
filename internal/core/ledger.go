package core

import (
	"fmt"
	"time"

	"github.com/ackbox/ackbox"
)

// Transition asks the ledger to move one job's row to another state. It is
// guarded: the row changes only if it still is at Attempt and in a state from
// which To can be reached, so a late or repeated Transition does no harm. One of a
// worker (Holder is set) changes nothing, either, while another instance holds the
// job, unless To is Done: whoever finishes first has finished it.
type Transition struct {
	// ID and Attempt name the row and the try that was read.
	ID      string
	Attempt int
	// Resend names the copy that a worker speaks of. It guards an uncharged
	// Transition to Pending: one of a stale copy must not set back the newest.
	Resend int
	// Holder is the worker's instance; empty for a dispatcher.
	Holder string
	// To is the state to enter.
	To ackbox.State
	// After is the pause before a Pending or Nacked job is due again, counted
	// by the database's clock. Negative counts as zero.
	After time.Duration
	// Charge makes a Transition to Pending use up a try (Attempt+1). Without
	// it the same try is sent again as another copy (Resend+1).
	Charge bool
	// NoOutcome says of an uncharged Transition of a worker to Pending that no
	// handler has answered: it was not called, or our own stop has cut it short. The
	// row's starts without an outcome stay then, but for one of Holder itself that is
	// on record, which is taken back. Without it they begin at 0 again.
	NoOutcome bool
	// Error is recorded as the row's last error, and as the reason in its history;
	// empty records nothing.
	Error string
	// Ran is how long the handler ran, for the history; 0 if there was none.
	Ran time.Duration
}

// Standing is the ledger's answer to a worker that is about to run a delivery.
type Standing struct {
	// Verdict is Started, Held, Busy, Stale or Missing.
	Verdict Verdict
	// Starts counts the starts of this try that had no outcome, this one included; 0
	// where it could not be counted, because a dispatcher still has the row locked.
	Starts int
}

// Holding is a delivery with a row that has been in a worker's hands for a while.
type Holding struct {
	ID      string
	Attempt int
	Resend  int
	// Running is how long its handler has been running; 0 while it waits for a slot.
	Running time.Duration
}

// Verdict is the ledger's answer about one try of a job: what became of a
// [Transition], a start or a [Holding].
type Verdict int

const (
	// Busy means that the row is locked by somebody who will let it go soon, a
	// dispatcher whose batch is still on the wire as a rule: ask again in a few
	// milliseconds. It is the zero Verdict.
	Busy Verdict = iota
	// Recorded means that the row has changed and the change is committed.
	Recorded
	// Stale means that the row is finished or was superseded: there is nothing
	// left to record, or to run.
	Stale
	// Missing means that the ledger has no such row: it was purged long ago, or
	// the database was restored to a time before the job.
	Missing
	// Started means that the delivery is the copy that the ledger wants run, and
	// that it may be run now.
	Started
	// Held means that another instance, which is alive, holds the job: the ledger
	// has it, and sends it again should that instance die.
	Held
	// GivenUp means, of a message without a row, that it was given up in this round
	// already, and may not have reached the dead queue since.
	GivenUp
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
	case Started:
		return "started"
	case Held:
		return "held"
	case GivenUp:
		return "given up"
	}
	return fmt.Sprintf("verdict(%d)", int(v))
}
