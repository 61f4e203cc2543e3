package worker

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

// Two applications whose queues have the same name on the same vhost are given each
// other's jobs, and so are production and a copy of it. Such a job is not this
// worker's to run, to record or to acknowledge. Its own worker may consume the same
// queue, so a copy of it comes back there after a pause; what nobody wants is buried
// in the end, and its own ledger sends it again.
const (
	// maxStrays is how often a message is put aside. Where every second consumer is
	// the wrong one, not one in a million is unlucky that often.
	maxStrays = 20
	// straysPerPause is how many of these rounds each pause is for: all of them take
	// about 8 minutes, and so end before the message's own sweep, as it comes, takes
	// the job for lost and sends another copy.
	straysPerPause = 5
)

// strayPauses are the longest pauses of the rounds. Every other time it is the
// broker's shortest instead, by chance: a broker serves its consumers in turn, and
// strays that came together and go together would come to the wrong ones each time.
var strayPauses = [maxStrays / straysPerPause]time.Duration{5 * time.Second, 30 * time.Second, 30 * time.Second, 2 * time.Minute}

// strayPause is how long a message waits that is put aside for the nth time.
func strayPause(n int) time.Duration {
	if rand.IntN(2) == 0 { //nolint:gosec // spreading needs no secrecy
		return 0
	}
	return strayPauses[(n-1)/straysPerPause]
}

// stray puts aside a job whose row stands in another ledger.
func (o *outcomes) stray(work context.Context, h *hand) {
	o.count.strays.Add(1)
	theirs := fmt.Sprintf("%.100s", h.Ledger) // strangers choose it
	if o.named.fresh("stray " + theirs) {
		o.cfg.Logger.ErrorContext(work, "worker: a job of another ledger came from this queue and is put aside: another application, or a copy of this one, uses the same queue of the same vhost",
			"kind", h.Kind, "id", h.ID, "queue", h.Queue, "ledger", o.own, "its_ledger", theirs, "round", h.Strays+1)
	}
	if h.Strays >= maxStrays {
		cause := fmt.Sprintf("this job's row stands in ledger %s; workers of other ledgers got it %d times, the last one of ledger %s", theirs, h.Strays+1, o.own)
		o.copier.bury(work, h, cause, report{})
		return
	}
	next := h.Delivery
	next.Strays = max(0, next.Strays) + 1
	o.copier.park(work, h, next, strayPause(next.Strays), report{})
}
