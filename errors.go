package ackbox

import (
	"errors"
	"fmt"
)

// ErrSuperseded says that the job at hand is no longer the ledger's current
// copy: it is finished already, or another copy took over. Returned from a
// handler's transaction (outbox.Complete gives it) it rolls the effect back
// and makes the worker drop the delivery without charging a try. The worker asks the
// ledger before it believes it: of a job that still is open and in its hands the error is
// the handler's failure like any other.
var ErrSuperseded = errors.New("ackbox: the job is finished or another copy took over")

// ErrMissing is the [ErrSuperseded] of a job that the ledger has no row of: it was
// purged long ago, or the database was restored to a time before the job. The
// worker drops the delivery likewise, and says so.
var ErrMissing = fmt.Errorf("the ledger has no row of the job: %w", ErrSuperseded)

// ErrBusy says that a job's row could not be had in time: a dispatcher that was
// frozen, or whose database session hangs, still holds it. Returned from a
// handler (outbox.Complete gives it) it makes the worker try again without
// charging a try: nothing about the job has failed.
var ErrBusy = errors.New("ackbox: the job's row could not be had in time")

// ErrClosed says that the object was closed by its owner.
var ErrClosed = errors.New("ackbox: closed")
