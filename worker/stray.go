package worker

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/ackbox/ackbox/internal/core"
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

// identity returns the identity of the worker's own ledger.
func (w *Worker) identity(ctx context.Context) (string, error) {
	if own, ok := w.own.Load().(string); ok {
		return own, nil
	}
	ctx, cancel := context.WithTimeout(ctx, ledgerTimeout)
	defer cancel()
	own, err := w.ledger.Identity(ctx)
	if err == nil {
		w.own.Store(own)
	}
	return own, err
}

// introduce waits until the ledger has said who it is, and reports false if ctx
// ended first. Nothing is taken in before: what a worker cannot tell for its own it
// would only keep from those that can.
func (r *run) introduce(ctx context.Context) bool {
	for pause := minPause; ; pause = min(2*pause, maxPause) {
		_, err := r.identity(ctx)
		if err == nil || ctx.Err() != nil {
			return err == nil
		}
		if r.said.fresh("identity") {
			r.cfg.Logger.WarnContext(ctx, "worker: the ledger cannot be asked who it is; nothing is consumed until it can", "error", err)
		}
		if !sleep(ctx, jitter(pause)) {
			return false
		}
	}
}

// isStray reports whether h's row stands in another ledger than the worker's, which
// is known since before h was taken in.
func (w *Worker) isStray(h *inHand) (own string, stray bool) {
	own, _ = w.own.Load().(string)
	return own, h.Ledger != "" && h.Ledger != own
}

// stray puts aside a job whose row stands in another ledger.
func (r *run) stray(work context.Context, h *inHand, own string) {
	r.count.strays.Add(1)
	theirs := fmt.Sprintf("%.100s", h.Ledger) // strangers choose it
	if r.said.fresh("stray " + theirs) {
		r.cfg.Logger.ErrorContext(work, "worker: a job of another ledger came from this queue and is put aside: another application, or a copy of this one, uses the same queue of the same vhost",
			"kind", h.Kind, "id", h.ID, "queue", h.Queue, "ledger", own, "its_ledger", theirs, "round", h.Strays+1)
	}
	if h.Strays >= maxStrays {
		cause := fmt.Sprintf("this job's row stands in ledger %s; workers of other ledgers got it %d times, the last one of ledger %s", theirs, h.Strays+1, own)
		r.replace(work, h, "bury another ledger's job", func(ctx context.Context) error {
			return r.broker.Bury(ctx, h.Delivery, cause)
		})
		return
	}
	next := h.Delivery
	next.Strays = max(0, next.Strays) + 1
	r.replace(work, h, "put another ledger's job aside", func(ctx context.Context) error {
		return r.broker.Retry(ctx, next, strayPause(next.Strays))
	})
}

// drop acknowledges a delivery that the ledger does not want run.
func (w *Worker) drop(ctx context.Context, h *inHand, verdict core.Verdict) {
	if verdict == core.Missing {
		w.missing(ctx, h)
	} else {
		w.count.skipped.Add(1)
	}
	h.ack()
}

// missing notes that the ledger has no row of h.
func (w *Worker) missing(ctx context.Context, h *inHand) {
	w.count.missing.Add(1)
	if w.said.fresh("missing " + h.Queue) {
		w.cfg.Logger.WarnContext(ctx, "worker: the ledger has no row of a job that came from this queue: it was purged or deleted, or the database was restored to a time before it",
			"kind", h.Kind, "id", h.ID, "queue", h.Queue)
	}
}

// notices bounds how often the same is logged. The zero value is ready; safe for
// concurrent use.
type notices struct {
	mu   sync.Mutex
	last map[string]time.Time
}

const (
	noticeInterval = time.Minute
	maxNotices     = 100 // strangers choose what is in it
)

// fresh reports whether what has not been logged for a while, and notes that it is
// now.
func (n *notices) fresh(what string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := time.Now()
	for key, at := range n.last {
		if now.Sub(at) >= noticeInterval {
			delete(n.last, key)
		}
	}
	if _, ok := n.last[what]; ok || len(n.last) == maxNotices {
		return false
	}
	if n.last == nil {
		n.last = make(map[string]time.Time)
	}
	n.last[what] = now
	return true
}
