package worker

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// maxUnknownDelay ends the doubling of the pauses of unknown kinds: jobs that nobody
// will ever handle are to cost nothing to speak of.
const maxUnknownDelay = 15 * time.Minute

// unknownKind puts off a delivery that only another version of the application
// can handle. No try is charged.
func (o *outcomes) unknownKind(work context.Context, h *hand) {
	o.count.unknownKind.Add(1)
	if h.refused {
		h.requeue() // it stays as it is, for a worker that knows its FailAction
		return
	}
	if h.Kind == "" {
		o.dead(work, h, failureOf(errors.New("no kind was found in the message, so there is no handler for it: worker.Queue.Messages.Kind says where it is looked for (by default in the AMQP property type)")))
		return
	}
	wait := doubled(o.cfg.UnknownKindDelay, h.Resend, max(maxUnknownDelay, o.cfg.UnknownKindDelay))
	if h.Ledger == "" {
		if !h.FirstSeen.IsZero() && time.Since(h.FirstSeen) > o.cfg.UnknownKindLimit {
			o.dead(work, h, failureOf(fmt.Errorf("no worker had a handler for kind %q in %v", h.Kind, o.cfg.UnknownKindLimit)))
			return
		}
		wait = o.growing(h.FirstSeen)
	}
	if o.named.fresh("unknown " + h.Kind) {
		o.cfg.Logger.WarnContext(work, "worker: no handler is registered for this kind; its jobs wait for a worker that has one",
			"kind", h.Kind, "id", h.ID, "queue", h.Queue, "in", wait, "known_kinds", o.kinds)
	}
	o.putOff(work, h, wait, fmt.Sprintf("no handler for kind %q in the worker that got it: waiting for one that knows it", h.Kind))
}

// growing is a pause that grows for a message in which nothing counts the rounds: as
// long as it has waited already, it waits again.
func (o *outcomes) growing(since time.Time) time.Duration {
	if since.IsZero() {
		return o.cfg.UnknownKindDelay
	}
	return min(max(time.Since(since), o.cfg.UnknownKindDelay), max(maxUnknownDelay, o.cfg.UnknownKindDelay))
}

// doubled is first, doubled n times, at most limit.
func doubled(first time.Duration, n int, limit time.Duration) time.Duration {
	for ; n > 0 && first < limit; n-- {
		first *= 2
	}
	return min(first, limit)
}

// Pauses of a job whose row could not be had in time. It had waited for the ledger's
// deadline before.
const (
	minBusyDelay = time.Second
	maxBusyDelay = time.Minute
)

func busyDelay(h *hand) time.Duration { return doubled(minBusyDelay, h.Resend, maxBusyDelay) }
