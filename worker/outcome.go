package worker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/internal/failpoint"
)

// done records that the job was handled.
func (r *run) done(h *inHand) {
	r.count.done.Add(1)
	if h.Ledger == "" {
		h.ack()
		return
	}
	r.recorder.add(h, core.Transition{To: ackbox.Done})
}

// again has the job run again after wait: charged as its next try, or as
// another copy of the same.
func (r *run) again(work context.Context, h *inHand, wait time.Duration, charge bool, reason string) {
	wait = max(0, wait)
	if h.Ledger != "" {
		r.recorder.add(h, core.Transition{To: ackbox.Pending, After: wait, Charge: charge, Error: reason})
		return
	}
	// Without a row the message waits in the broker: its copy is confirmed
	// before the original is acknowledged.
	next := h.Delivery
	if charge {
		next.Attempt = max(next.Attempt, 1) + 1
	}
	r.replace(work, h, "park a message for its next try", func(ctx context.Context) error {
		return r.broker.Retry(ctx, next, wait)
	})
}

// dead records that the job was given up, with all that is known (reason), and
// says so in the log (summary).
func (r *run) dead(work context.Context, h *inHand, reason string, summary error) {
	r.count.dead.Add(1)
	line := oneLine(summary)
	r.cfg.Logger.ErrorContext(work, "worker: a job is dead", "kind", h.Kind, "id", h.ID, "queue", h.Queue, "attempt", h.Attempt, "error", line)
	if h.Ledger != "" {
		r.recorder.add(h, core.Transition{To: ackbox.Dead, Error: reason})
		return
	}
	r.replace(work, h, "bury a message", func(ctx context.Context) error {
		return r.broker.Bury(ctx, h.Delivery, line)
	})
}

// oneLine is an error's text without line breaks. It survives errors whose own
// methods panic.
func oneLine(err error) string {
	return strings.ReplaceAll(fmt.Sprintf("%v", err), "\n", "; ")
}

// replaceTimeout bounds the wait for the confirm of a copy.
const replaceTimeout = 30 * time.Second

// replace acknowledges a message without a row here once its copy is confirmed. If
// that cannot be had in time the message goes back to its queue.
func (r *run) replace(work context.Context, h *inHand, what string, publish func(context.Context) error) {
	ctx, cancel := context.WithTimeout(work, replaceTimeout)
	defer cancel()
	for pause := minPause; ; pause = min(2*pause, maxPause) {
		err := publish(ctx)
		if err == nil {
			failpoint.Hit(failpoint.Replaced)
			h.ack()
			return
		}
		if errors.Is(err, ackbox.ErrClosed) || !sleep(ctx, jitter(pause)) {
			r.cfg.Logger.WarnContext(work, "worker: a message without a row here cannot be put aside; it goes back to its queue", "what", what, "kind", h.Kind, "id", h.ID, "queue", h.Queue, "error", err)
			h.requeue()
			return
		}
	}
}
