package worker

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/handler"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/internal/failpoint"
	"github.com/ackbox/ackbox/internal/registry"
	"github.com/ackbox/ackbox/retry"
)

// overdueAfter is how long after its timeout a handler counts as ignoring it.
const overdueAfter = 5 * time.Second

// busyDelay is how long a job waits whose row could not be had in time. It had
// waited for the ledger's deadline before.
const busyDelay = time.Second

// handle runs one delivery and sees to its outcome, whatever the application's
// code does.
func (r *run) handle(intake, work context.Context, h *inHand) {
	returned := false
	defer func() {
		if returned {
			return
		}
		// Handlers' panics are errors by now. This is one of a backoff policy
		// or of an error's own methods, or runtime.Goexit, which nothing stops.
		if p := recover(); p != nil {
			r.broken(work, h, &handler.PanicError{Value: p, Stack: debug.Stack()})
			return
		}
		r.broken(work, h, errGoexit)
	}()
	r.attend(intake, work, h)
	returned = true
}

var errGoexit = errors.New("the handler ended its goroutine (runtime.Goexit)")

// attend decides what to do with a delivery, and does it.
func (r *run) attend(intake, work context.Context, h *inHand) {
	if intake.Err() != nil {
		h.requeue()
		return
	}
	if own, stray := r.isStray(h); stray {
		r.stray(work, h, own)
		return
	}
	entry, known := r.entries[h.Kind]
	if !known {
		r.unknownKind(work, h)
		return
	}
	if h.Ledger != "" && !h.First() {
		verdict, err := r.ask(intake, h.Job)
		if err != nil {
			h.requeue()
			return
		}
		if verdict != core.Started {
			r.drop(work, h, verdict)
			return
		}
	}
	if h.Returns >= r.cfg.MaxReturns {
		r.failed(work, h, entry, fmt.Errorf("came back from the broker %d times without an outcome: its workers may be dying of it", h.Returns))
		return
	}
	err := r.call(work, h, entry.Timeout, nil, entry.Handler.Consume)
	switch {
	case h.gone():
		// Run has given up waiting for it: another worker has the job.
	case err == nil:
		r.done(h)
	case errors.Is(err, ackbox.ErrMissing):
		r.drop(work, h, core.Missing)
	case errors.Is(err, ackbox.ErrSuperseded):
		r.drop(work, h, core.Stale)
	case work.Err() != nil:
		// Cancelled by us, not failed: no try is charged.
		h.requeue()
	case errors.Is(err, ackbox.ErrBusy):
		// The ledger could not be written: nor has the job failed.
		r.again(work, h, busyDelay, false, describe(err))
	default:
		r.failed(work, h, entry, err)
	}
}

// ask asks the ledger whether job is still the current copy, until it answers
// or intake ends.
func (r *run) ask(intake context.Context, job ackbox.Job) (core.Verdict, error) {
	for pause := minPause; ; pause = min(2*pause, maxPause) {
		verdict, err := r.askOnce(intake, job)
		if err == nil || intake.Err() != nil {
			return verdict, err
		}
		r.cfg.Logger.WarnContext(intake, "worker: the ledger cannot be asked; a job waits for it", "kind", job.Kind, "id", job.ID, "error", err)
		if !sleep(intake, jitter(pause)) {
			return 0, intake.Err()
		}
	}
}

func (r *run) askOnce(ctx context.Context, job ackbox.Job) (core.Verdict, error) {
	ctx, cancel := context.WithTimeout(ctx, ledgerTimeout)
	defer cancel()
	return r.ledger.Current(ctx, job)
}

// call calls a method of a handler under the job's timeout.
func (r *run) call(work context.Context, h *inHand, timeout time.Duration, cause error, method handler.Func) error {
	h.begin(time.Now().Add(timeout + overdueAfter))
	defer h.end()
	ctx := ackbox.WithRun(work, ackbox.Run{Job: h.Job, Cause: cause})
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	failpoint.Hit(failpoint.Taken)
	err := method(ctx, h.Job)
	failpoint.Hit(failpoint.Handled)
	if work.Err() == nil && ctx.Err() != nil && errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("not done within %v: %w", timeout, err)
	}
	return err
}

// failed decides what follows a failed try.
func (r *run) failed(work context.Context, h *inHand, entry registry.Entry, err error) {
	course, wait := retry.CourseOf(err)
	switch {
	case course == retry.Later:
		r.count.snoozed.Add(1)
		r.again(work, h, wait, false, "")
		return
	case course == retry.GiveUp, r.lastTry(h):
		r.giveUp(work, h, entry, err)
		return
	case course == retry.ByPolicy:
		wait = entry.Backoff.Next(h.Attempt)
	}
	r.count.retried.Add(1)
	r.again(work, h, wait, true, describe(err))
}

// lastTry reports whether h's tries are used up.
func (r *run) lastTry(h *inHand) bool {
	allowed := h.MaxAttempts
	if allowed <= 0 {
		allowed = r.cfg.MaxAttempts
	}
	return h.Attempt >= allowed
}

// broken charges a try that ended in a way from which nothing can be learnt.
// Nothing of the application is called again for it, not even FailAction.
func (r *run) broken(work context.Context, h *inHand, err error) {
	switch {
	case h.gone():
	case r.lastTry(h):
		r.dead(work, h, describe(err)+"\nFailAction was not called", err)
	default:
		r.count.retried.Add(1)
		r.again(work, h, retry.Default.Next(h.Attempt), true, describe(err))
	}
}

// giveUp calls FailAction, at most FailActionAttempts times, and records the
// job as dead, whatever FailAction did. A call that fails while the ledger is
// away, or because it is busy, is not counted: FailAction's database is the
// ledger's as a rule, and a job is given up only once.
func (r *run) giveUp(work context.Context, h *inHand, entry registry.Entry, cause error) {
	for n := 1; ; n++ {
		err := r.call(work, h, entry.Timeout, cause, func(ctx context.Context, job ackbox.Job) error {
			return entry.Handler.FailAction(ctx, job, cause)
		})
		if h.gone() {
			return
		}
		if err == nil || errors.Is(err, ackbox.ErrSuperseded) {
			r.dead(work, h, describe(cause), cause)
			return
		}
		if errors.Is(err, registry.ErrNotCalled) {
			r.dead(work, h, describe(cause)+"\n"+oneLine(err), fmt.Errorf("%w; %w", cause, err))
			return
		}
		verdict, counts := r.stillOurs(work, h)
		switch {
		case work.Err() != nil:
			h.requeue() // another worker will call FailAction again
			return
		case verdict != core.Started:
			r.drop(work, h, verdict) // finished by a call whose answer was lost, or sent again
			return
		case !counts, errors.Is(err, ackbox.ErrBusy):
			n--
		case n == r.cfg.FailActionAttempts:
			r.dead(work, h, fmt.Sprintf("%s\nFailAction failed %d times: %s", describe(cause), n, describe(err)),
				fmt.Errorf("%w; FailAction failed %d times: %w", cause, n, err))
			return
		}
		if !sleep(work, jitter(minPause<<min(n, 5))) {
			h.requeue()
			return
		}
	}
}

// stillOurs asks the ledger whether h is the current copy, for as long as it
// takes, and whether it was there for reading and writing at once. A message
// without a row always is.
func (r *run) stillOurs(work context.Context, h *inHand) (verdict core.Verdict, atOnce bool) {
	if h.Ledger == "" {
		return core.Started, true
	}
	verdict, err := r.askOnce(work, h.Job)
	if atOnce = err == nil; !atOnce {
		verdict, _ = r.ask(work, h.Job) // its only error is the end of work
	}
	// One that can only be read, as during a failover, is away as well.
	for pause := minPause; verdict == core.Started && r.vouchFor(work, h) != nil; pause = min(2*pause, maxPause) {
		atOnce = false
		if !sleep(work, jitter(pause)) {
			break
		}
	}
	return verdict, atOnce
}

// vouchFor writes to the ledger that h is here.
func (r *run) vouchFor(ctx context.Context, h *inHand) error {
	ctx, cancel := context.WithTimeout(ctx, ledgerTimeout)
	defer cancel()
	return r.ledger.Vouch(ctx, []string{h.ID})
}

// describe is how an error stands in a row: with its stack, if it is a panic.
// It survives errors whose own methods panic.
func describe(err error) string {
	text := fmt.Sprintf("%v", err)
	var p *handler.PanicError
	if errors.As(err, &p) {
		text += "\n" + string(p.Stack)
	}
	return text
}
