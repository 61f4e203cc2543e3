package worker

import (
	"context"
	"errors"
	"runtime/debug"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/handler"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/retry"
)

// attempts is the step that runs a job's handler and decides what follows.
type attempts struct {
	*shift
	calls    *calls
	outcomes *outcomes
}

// run runs h and sees to its outcome, whatever the application's code does.
func (a *attempts) run(work context.Context, h *hand, entry entry) {
	returned := false
	defer func() {
		if returned {
			return
		}
		// Handlers' panics are errors by now. This is one of a backoff policy
		// or of an error's own methods, or runtime.Goexit, which nothing stops.
		if p := recover(); p != nil {
			a.broken(work, h, entry, &handler.PanicError{Value: p, Stack: debug.Stack()})
			return
		}
		a.broken(work, h, entry, errGoexit)
	}()
	a.conclude(work, h, entry, a.calls.consume(work, h, entry))
	returned = true
}

// conclude decides what follows a call of Consume.
func (a *attempts) conclude(work context.Context, h *hand, entry entry, err error) {
	switch {
	case h.gone():
		// Run has given up waiting for it: the ledger or another worker has the job.
	case err == nil:
		a.outcomes.done(work, h)
	case work.Err() != nil:
		// Cancelled by us, not failed: no try is charged.
		a.outcomes.giveBack(work, h)
	case errors.Is(err, ackbox.ErrBusy):
		// The ledger could not be written: nor has the job failed.
		a.outcomes.busy(work, h, failureOf(err))
	case errors.Is(err, ackbox.ErrSuperseded) && h.Ledger == "":
		if a.received(work, h) {
			a.fail(work, h, entry, err) // the handler is mistaken
		}
	case errors.Is(err, ackbox.ErrSuperseded):
		a.superseded(work, h, entry, err)
	default:
		a.fail(work, h, entry, err)
	}
}

// superseded drops what the ledger does not want any more. If it does, the handler
// is mistaken: it may have finished the job twice in one transaction.
func (a *attempts) superseded(work context.Context, h *hand, entry entry, err error) {
	switch verdict, _ := a.calls.stillOurs(work, h); {
	case work.Err() != nil && verdict == core.Busy:
		a.outcomes.giveBack(work, h)
	case verdict == core.Recorded:
		a.fail(work, h, entry, err)
	default:
		a.outcomes.drop(work, h, verdict)
	}
}

// received asks what became of h, a message without a row, before: whether it may be
// run. If not it sees to h.
func (a *attempts) received(work context.Context, h *hand) bool {
	switch a.calls.received(work, h) {
	case core.Started:
		return true
	case core.GivenUp:
		a.outcomes.dead(work, h, failureOf(errGivenUp))
	case core.Busy:
		a.outcomes.giveBack(work, h) // the worker stops
	default:
		a.outcomes.drop(work, h, core.Stale)
	}
	return false
}

// errGivenUp stands for an error that nobody knows any more.
var errGivenUp = errors.New("a copy of a message that was given up: its FailAction is committed, and this one is buried in case the other did not get here")

// fail decides what follows a failed try.
func (a *attempts) fail(work context.Context, h *hand, entry entry, err error) {
	course, wait := retry.CourseOf(err)
	switch {
	case course == retry.Later:
		a.outcomes.snooze(work, h, wait)
		return
	case course == retry.GiveUp, a.lastTry(h):
		a.giveUp(work, h, entry, err)
		return
	case course == retry.ByPolicy:
		wait = entry.Backoff.Next(h.Attempt - h.AttemptsBefore)
	}
	a.outcomes.nextTry(work, h, wait, failureOf(err))
}

// lastTry reports whether h's tries are used up. An operator's requeue gives it as
// many again.
func (a *attempts) lastTry(h *hand) bool {
	allowed := h.MaxAttempts
	if allowed <= 0 {
		allowed = a.cfg.MaxAttempts
	}
	return h.Attempt-h.AttemptsBefore >= allowed
}

// broken charges a try that ended in a way from which nothing can be learnt. Of the
// application nothing but FailAction is called for it.
func (a *attempts) broken(work context.Context, h *hand, entry entry, err error) {
	switch {
	case h.gone():
	case a.lastTry(h):
		a.giveUp(work, h, entry, err)
	default:
		a.outcomes.nextTry(work, h, retry.Default.Next(h.Attempt-h.AttemptsBefore), failureOf(err))
	}
}
