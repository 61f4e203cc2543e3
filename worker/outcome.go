package worker

import (
	"context"
	"errors"
	"time"

	"github.com/ackbox/ackbox"
)

// done records that the job was handled.
func (r *run) done(h *inHand) {
	r.count.done.Add(1)
	if !h.Ledger {
		h.ack()
		return
	}
	r.outcomes.add(h, ackbox.Transition{To: ackbox.Done})
}

// again has the job run again after wait: charged as its next try, or as
// another copy of the same.
func (r *run) again(work context.Context, h *inHand, wait time.Duration, charge bool, reason string) {
	if charge {
		r.count.retried.Add(1)
	} else {
		r.count.snoozed.Add(1)
	}
	if h.Ledger {
		r.outcomes.add(h, ackbox.Transition{To: ackbox.Pending, After: wait, Charge: charge, Error: reason})
		return
	}
	// Without a row the message waits in the broker: its copy is confirmed
	// before the original is acknowledged.
	copied := h.Delivery
	if charge {
		copied.Attempt++
	}
	r.replace(work, h, "park a message for its next try", func(ctx context.Context) error {
		return r.broker.Retry(ctx, copied, wait)
	})
}

// dead records that the job was given up.
func (r *run) dead(work context.Context, h *inHand, reason string) {
	r.count.dead.Add(1)
	if h.Ledger {
		r.outcomes.add(h, ackbox.Transition{To: ackbox.Dead, Error: reason})
		return
	}
	r.replace(work, h, "bury a message", func(ctx context.Context) error {
		return r.broker.Bury(ctx, h.Delivery, firstLine(reason))
	})
}

// skip drops a delivery that the ledger does not want run.
func (r *run) skip(h *inHand) {
	r.count.skipped.Add(1)
	h.ack()
}

// replace acknowledges a message without a row once its copy is confirmed. If
// that cannot be had in time the message goes back to its queue.
func (r *run) replace(work context.Context, h *inHand, what string, publish func(context.Context) error) {
	ctx, cancel := context.WithTimeout(work, replaceTimeout)
	defer cancel()
	for pause := minPause; ; pause = min(2*pause, maxPause) {
		err := publish(ctx)
		if err == nil {
			h.ack()
			return
		}
		if errors.Is(err, ackbox.ErrClosed) || !sleep(ctx, jitter(pause)) {
			r.cfg.Logger.Warn("worker: cannot "+what+"; it goes back to its queue", "kind", h.Kind, "id", h.ID, "queue", h.Queue, "error", err)
			h.requeue()
			return
		}
	}
}

// replaceTimeout bounds the wait for the confirm of a copy.
const replaceTimeout = 30 * time.Second
