package worker

import (
	"context"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
)

// outcomes is the step that says what becomes of a delivery: in the ledger, where a
// row stands behind it, and in the broker where none does.
type outcomes struct {
	*shift
	recorder *recorder
	copier   *copier
}

// done records that the job was handled.
func (o *outcomes) done(work context.Context, h *hand) {
	if h.Ledger == "" {
		o.tell(work, h, report{what: handled}, core.Recorded)
		h.ack()
		return
	}
	o.recorder.add(h, core.Transition{To: ackbox.Done}, report{what: handled})
}

// nextTry charges a try and has the job run again after wait.
func (o *outcomes) nextTry(work context.Context, h *hand, wait time.Duration, why failure) {
	wait = max(0, wait)
	told := report{what: failed, why: why, next: time.Now().Add(wait)}
	if h.Ledger != "" {
		o.recorder.add(h, core.Transition{To: ackbox.Pending, After: wait, Charge: true, Error: why.text}, told)
		return
	}
	next := h.Delivery
	next.Attempt, next.Renewals = max(next.Attempt, 1)+1, 0
	o.copier.park(work, h, next, wait, told)
}

// snooze has the job run again after wait, because it asked for that.
func (o *outcomes) snooze(work context.Context, h *hand, wait time.Duration) {
	wait = max(0, wait)
	told := report{what: snoozed, next: time.Now().Add(wait)}
	if h.Ledger != "" {
		o.recorder.add(h, core.Transition{To: ackbox.Pending, After: wait}, told)
		return
	}
	next := h.Delivery
	next.Renewals = 0
	o.copier.park(work, h, next, wait, told)
}

// busy has a job run again uncharged whose handler could not have the job's row in
// time.
func (o *outcomes) busy(work context.Context, h *hand, why failure) {
	wait := busyDelay(h)
	told := report{what: waits, next: time.Now().Add(wait)}
	if h.Ledger == "" {
		o.copier.park(work, h, h.Delivery, wait, told)
		return
	}
	o.recorder.add(h, core.Transition{To: ackbox.Pending, After: wait, Error: why.text}, told)
}

// putOff has a job run again after wait, uncharged: it has not run. That is no outcome,
// so starts without one stay counted, but for the one that is taken back.
func (o *outcomes) putOff(work context.Context, h *hand, wait time.Duration, reason string) {
	if h.Ledger != "" {
		o.recorder.add(h, core.Transition{To: ackbox.Pending, After: wait, NoOutcome: true, Error: reason}, report{})
		return
	}
	o.copier.park(work, h, h.Delivery, wait, report{})
}

// renew puts a fresh copy in the place of a message that the broker would soon drop.
func (o *outcomes) renew(work context.Context, h *hand) {
	next := h.Delivery
	next.Renewals = max(0, next.Renewals) + 1
	o.copier.park(work, h, next, 0, report{})
}

// dead records that the job was given up.
func (o *outcomes) dead(work context.Context, h *hand, why failure) {
	told := report{what: gaveUp, why: why}
	if h.Ledger != "" {
		o.recorder.add(h, core.Transition{To: ackbox.Dead, Error: why.text}, told)
		return
	}
	o.copier.bury(work, h, why.oneLine(), told)
}

// notStarted gives back what the ledger was never asked to start. A message that the
// broker would soon drop for coming back is replaced instead.
func (o *outcomes) notStarted(work context.Context, h *hand) {
	switch {
	case !needsRenewal(h):
		h.requeue()
	case h.Ledger == "":
		o.renew(work, h)
	case h.Ledger == o.own:
		o.putOff(work, h, 0, "") // the ledger sends a fresh one
	default:
		h.requeue()
	}
}

// giveBack gives back what has started, or may have: the ledger has that on record,
// so it is the ledger that has to let go of it, and it sends the job again.
func (o *outcomes) giveBack(work context.Context, h *hand) {
	told := report{what: stopped}
	switch {
	case h.refused, h.Ledger == "":
		o.tell(work, h, told, core.Recorded)
		h.requeue() // a refused one stays as it is in the ledger, which Leave tells
	default:
		o.recorder.add(h, core.Transition{To: ackbox.Pending, NoOutcome: true}, told)
	}
}

// drop acknowledges a delivery that the ledger does not want run, or wants run where
// it runs already.
func (o *outcomes) drop(ctx context.Context, h *hand, verdict core.Verdict) {
	if verdict == core.Missing {
		o.missing(ctx, h)
	} else {
		o.count.skipped.Add(1)
	}
	o.superseded(ctx, h)
	h.ack()
}
