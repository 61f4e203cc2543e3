package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/handler"
	"github.com/ackbox/ackbox/retry"
)

// overdueAfter is how long after its timeout a handler counts as ignoring it.
const overdueAfter = 5 * time.Second

// handle runs one delivery and settles it.
func (r *run) handle(intake, work context.Context, h *inHand) {
	if intake.Err() != nil {
		h.requeue()
		return
	}
	entry, known := r.entries[h.Kind]
	if !known {
		r.unknownKind(work, h)
		return
	}
	if h.Ledger && !h.First() {
		current, err := r.ask(intake, h.Job)
		if err != nil {
			h.requeue()
			return
		}
		if !current {
			r.skip(h)
			return
		}
	}
	if h.Returns >= r.cfg.MaxReturns {
		r.failed(work, h, entry, fmt.Errorf("came back from the broker %d times without an outcome: its workers may be dying of it", h.Returns))
		return
	}
	err := r.call(work, h, entry)
	switch {
	case err == nil:
		r.done(h)
	case errors.Is(err, ackbox.ErrSuperseded):
		r.skip(h)
	case context.Cause(work) != nil:
		// Cancelled by us, not failed: no try is charged.
		h.requeue()
	default:
		r.failed(work, h, entry, err)
	}
}

// ask asks the ledger whether job is still the current copy, until it answers
// or intake ends.
func (r *run) ask(intake context.Context, job ackbox.Job) (bool, error) {
	for pause := minPause; ; pause = min(2*pause, maxPause) {
		current, err := r.ledger.Current(intake, job)
		if err == nil || intake.Err() != nil {
			return current, err
		}
		r.cfg.Logger.Warn("worker: the ledger cannot be asked; a job waits for it", "kind", job.Kind, "id", job.ID, "error", err)
		if !sleep(intake, jitter(pause)) {
			return false, intake.Err()
		}
	}
}

// call calls Consume under the job's timeout.
func (r *run) call(work context.Context, h *inHand, entry handler.Entry) error {
	h.start(time.Now().Add(entry.Timeout + overdueAfter))
	ctx := ackbox.WithRun(work, ackbox.Run{Job: h.Job})
	err := handler.Timeout(entry.Timeout)(entry.Handler.Consume)(ctx, h.Job)
	if errors.Is(err, context.DeadlineExceeded) && context.Cause(work) == nil {
		return fmt.Errorf("not done within %v: %w", entry.Timeout, err)
	}
	return err
}

// failed decides what follows a failed try.
func (r *run) failed(work context.Context, h *inHand, entry handler.Entry, err error) {
	course, wait := retry.CourseOf(err)
	var undecodable *handler.DecodeError
	switch {
	case course == retry.Later:
		r.again(work, h, wait, false, "")
		return
	case course == retry.GiveUp, errors.As(err, &undecodable), h.Attempt >= r.maxAttempts(h.Job):
		r.giveUp(work, h, entry, err)
		return
	case course == retry.ByPolicy:
		wait = entry.Backoff.Next(h.Attempt)
	}
	r.again(work, h, wait, true, describe(err))
}

func (r *run) maxAttempts(job ackbox.Job) int {
	if job.MaxAttempts > 0 {
		return job.MaxAttempts
	}
	return r.cfg.MaxAttempts
}

// giveUp calls FailAction, at most FailActionAttempts times, and records the
// job as dead, whatever FailAction did.
func (r *run) giveUp(work context.Context, h *inHand, entry handler.Entry, cause error) {
	text := describe(cause)
	ctx := ackbox.WithRun(work, ackbox.Run{Job: h.Job, Cause: cause})
	for n := 1; ; n++ {
		err := r.callFailAction(ctx, h, entry, cause)
		if err == nil || errors.Is(err, ackbox.ErrSuperseded) {
			break
		}
		if context.Cause(work) != nil {
			h.requeue() // another worker will call FailAction again
			return
		}
		if n == r.cfg.FailActionAttempts {
			text += fmt.Sprintf("; then FailAction failed %d times: %s", n, describe(err))
			break
		}
		if !sleep(work, jitter(minPause<<min(n, 5))) {
			h.requeue()
			return
		}
	}
	r.cfg.Logger.Error("worker: a job is dead", "kind", h.Kind, "id", h.ID, "queue", h.Queue, "attempt", h.Attempt, "error", firstLine(text))
	r.dead(work, h, text)
}

func (r *run) callFailAction(ctx context.Context, h *inHand, entry handler.Entry, cause error) error {
	h.start(time.Now().Add(entry.Timeout + overdueAfter))
	ctx, cancel := context.WithTimeout(ctx, entry.Timeout)
	defer cancel()
	return entry.Handler.FailAction(ctx, h.Job, cause)
}

// unknownKind puts off a delivery that only another version of the application
// can handle.
func (r *run) unknownKind(work context.Context, h *inHand) {
	r.count.unknownKind.Add(1)
	if _, told := r.told.LoadOrStore(h.Kind, true); !told {
		r.cfg.Logger.Warn("worker: no handler is registered for this kind; its jobs wait for a worker that has one",
			"kind", h.Kind, "id", h.ID, "queue", h.Queue, "known", len(r.entries))
	}
	if h.Kind == "" {
		r.dead(work, h, "the message names no kind (AMQP property type), so no handler can be found for it")
		return
	}
	r.again(work, h, r.cfg.UnknownKindDelay, false, fmt.Sprintf("no handler for kind %q in the worker that got it: waiting for one that knows it", h.Kind))
}

// describe is how an error stands in a row: with its stack, if it is a panic.
func describe(err error) string {
	var p *handler.PanicError
	if errors.As(err, &p) {
		return err.Error() + "\n" + string(p.Stack)
	}
	return err.Error()
}

func firstLine(s string) string {
	for i := range len(s) {
		if s[i] == '\n' {
			return s[:i]
		}
	}
	return s
}

// watch vouches for what is in hand and reports handlers that ignore their
// timeout, until ctx ends.
func (r *run) watch(ctx context.Context) {
	vouch := time.NewTicker(r.cfg.VouchInterval)
	defer vouch.Stop()
	look := time.NewTicker(time.Second)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
			for _, h := range r.held.late(time.Now()) {
				r.cfg.Logger.LogAttrs(ctx, slog.LevelError, "worker: a handler ignores its timeout and keeps its slot",
					slog.String("kind", h.Kind), slog.String("id", h.ID), slog.Int("attempt", h.Attempt), slog.Duration("timeout", r.entries[h.Kind].Timeout))
			}
			continue
		case <-vouch.C:
		case <-r.kick:
		}
		if ids := r.held.ids(); len(ids) > 0 {
			if err := r.ledger.Vouch(ctx, ids); err != nil && ctx.Err() == nil {
				r.cfg.Logger.Warn("worker: cannot vouch for the jobs in hand", "jobs", len(ids), "error", err)
			}
		}
	}
}

// vouchNow asks watch to vouch without waiting for its interval.
func (r *run) vouchNow() {
	select {
	case r.kick <- struct{}{}:
	default:
	}
}
