package worker

import (
	"context"
	"fmt"

	"github.com/ackbox/ackbox/internal/core"
)

// giveUp calls FailAction, at most FailActionAttempts times, and records the
// job as dead, whatever FailAction did. Before each call the ledger says whether the
// job still is this worker's to give up. A call that fails while the ledger is
// away, or because it is busy, is not counted: FailAction's database is the
// ledger's as a rule, and a job is given up only once.
func (a *attempts) giveUp(work context.Context, h *hand, entry entry, cause error) {
	why := failureOf(cause) // now: nothing of the application's is to panic later
	if h.Ledger == "" && !a.received(work, h) {
		return
	}
	if verdict, _ := a.calls.stillOurs(work, h); !a.goesOn(work, h, verdict, why) {
		return
	}
	for n := 1; ; n++ {
		end := a.calls.failAction(work, h, entry, cause)
		if h.gone() {
			return
		}
		if end.superseded && h.Ledger == "" && a.calls.received(work, h) == core.Stale {
			a.outcomes.drop(work, h, core.Stale) // another copy has completed it meanwhile
			return
		}
		if end.final {
			a.outcomes.dead(work, h, why.and(end.text))
			return
		}
		verdict, atOnce := a.calls.stillOurs(work, h)
		if !a.goesOn(work, h, verdict, why) {
			return
		}
		if !atOnce || end.busy {
			n--
		} else if n == a.cfg.FailActionAttempts {
			a.outcomes.dead(work, h, why.and(fmt.Sprintf("FailAction failed %d times: %s", n, end.text)))
			return
		}
		sleep(work, jitter(minPause<<min(n, 5)))
	}
}

// goesOn reports whether FailAction is to be called, by what the ledger says; if not
// it sees to h.
func (a *attempts) goesOn(work context.Context, h *hand, verdict core.Verdict, why failure) bool {
	switch {
	case work.Err() != nil:
		a.outcomes.giveBack(work, h) // another worker will call FailAction
	case verdict == core.Recorded:
		return true
	default:
		if verdict == core.Stale {
			a.failedTooLate(work, h, why)
		}
		a.outcomes.drop(work, h, verdict)
	}
	return false
}
