package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ackbox/ackbox/internal/core"
)

// admission is the step between a slot and the handler: is the delivery this
// worker's to run, and does the ledger want it run?
type admission struct {
	*shift
	starts   *starts
	attempts *attempts
	outcomes *outcomes
}

const (
	// maxReturns is how often a message may come back before a fresh one takes its
	// place: at 20 RabbitMQ 4 would drop it.
	maxReturns = 10
	// maxComebacks is how often it has come back, over all its copies, when a try is
	// charged. Nobody counted how often it ran: the best that can be had without a
	// ledger.
	maxComebacks = 50
)

// admit handles h, which has a slot, and returns when the slot is free again.
func (a *admission) admit(work context.Context, h *hand) {
	if a.isStopping() {
		a.outcomes.notStarted(work, h)
		return
	}
	if h.Ledger != "" && h.Ledger != a.own {
		a.outcomes.stray(work, h)
		return
	}
	entry, known := a.entries[h.Kind]
	switch {
	case !known:
		a.outcomes.unknownKind(work, h)
	case h.refused:
		a.attempts.giveUp(work, h, entry, fmt.Errorf("the broker refused it for %v", h.RefusedFor.Round(time.Second)))
	case h.Ledger == "":
		a.message(work, h, entry)
	case h.First():
		a.attempts.run(work, h, entry)
	default:
		a.ask(work, h, entry)
	}
}

// message runs h, which has no row, unless it was handled before.
func (a *admission) message(work context.Context, h *hand, entry entry) {
	switch {
	case needsRenewal(h):
		a.outcomes.renew(work, h)
	case h.Renewals*returnsBorne(h) >= maxComebacks:
		a.attempts.fail(work, h, entry, fmt.Errorf("came back from the broker over %d times without an outcome: its workers may be dying of it", maxComebacks))
	case h.First() || a.attempts.received(work, h):
		a.attempts.run(work, h, entry)
	}
}

// needsRenewal reports whether the broker would soon drop h, because it came back so
// often.
func needsRenewal(h *hand) bool { return h.Returns >= returnsBorne(h) }

// returnsBorne is how often h may come back before a fresh one takes its place: half as
// often as its queue bears.
func returnsBorne(h *hand) int {
	if h.Limit > 0 {
		return min(maxReturns, max(1, h.Limit/2))
	}
	return maxReturns
}

// ask runs h if the ledger wants that.
func (a *admission) ask(work context.Context, h *hand, entry entry) {
	standing, ok := a.standing(work, h)
	switch {
	case !ok:
	case standing.Verdict != core.Started:
		a.outcomes.drop(work, h, standing.Verdict)
	case standing.Starts > 2*a.cfg.MaxStarts:
		a.outcomes.dead(work, h, failureOf(fmt.Errorf("started %d times without an outcome; FailAction was not called again: its workers may be dying of it", standing.Starts-1)))
	case standing.Starts > a.cfg.MaxStarts:
		h.recorded(asRunning)
		a.attempts.fail(work, h, entry, fmt.Errorf("started %d times without an outcome: its workers may be dying of it", standing.Starts-1))
	case standing.Starts > a.cfg.MaxStarts/2:
		h.recorded(asRunning)
		if !a.suspect.TryLock() {
			a.outcomes.putOff(work, h, jitter(suspectDelay), "")
			return
		}
		defer a.suspect.Unlock()
		a.attempts.run(work, h, entry)
	default:
		if standing.Starts > 0 {
			h.recorded(asRunning)
		}
		a.attempts.run(work, h, entry)
	}
}

const (
	// suspectDelay is how long a job waits that may be the death of its process
	// while another such job runs.
	suspectDelay = 5 * time.Second
	// busyPatience is how long a row is waited for that somebody has locked.
	busyPatience = 10 * time.Second
)

// standing asks the ledger for h until it answers. It reports false if h was given
// back instead, because the worker stops or somebody keeps the row.
func (a *admission) standing(work context.Context, h *hand) (standing core.Standing, ok bool) {
	began, uncertain := time.Now(), false
	pause := minBusy
	for {
		standing, err := a.starts.ask(h.Job)
		switch {
		case errors.Is(err, errNotAsked) && !uncertain:
			a.outcomes.notStarted(work, h)
			return core.Standing{}, false
		case errors.Is(err, errNotAsked), err != nil && a.isStopping():
			a.outcomes.giveBack(work, h) // it may be on record as started here
			return core.Standing{}, false
		case err != nil:
			uncertain = true
			pause = min(max(2*pause, minPause), maxPause)
			if a.said.fresh("start") {
				a.cfg.Logger.WarnContext(work, "worker: the ledger cannot be asked whether jobs may start; they wait for it", "kind", h.Kind, "id", h.ID, "queue", h.Queue, "error", err)
			}
		case standing.Verdict != core.Busy:
			return standing, true
		case time.Since(began) > busyPatience:
			a.outcomes.putOff(work, h, busyDelay(h), "its row could not be had in time")
			return core.Standing{}, false
		default:
			pause = min(2*pause, maxBusy)
		}
		a.sleepOrStop(jitter(pause))
	}
}

// sleepOrStop waits for d, or until nothing more is taken in.
func (a *admission) sleepOrStop(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-a.stopping:
	}
}
