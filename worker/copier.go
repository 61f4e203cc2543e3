package worker

import (
	"context"
	"errors"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/internal/failpoint"
)

// copier is the last step of a message without a row in this ledger: it waits for
// its next try in the broker, as a copy that is confirmed before the original is
// acknowledged.
type copier struct {
	*shift
}

// copyTimeout bounds the wait for the confirm of a copy.
const copyTimeout = 30 * time.Second

// park puts next in h's place, to come again after wait.
func (c *copier) park(work context.Context, h *hand, next core.Delivery, wait time.Duration, told report) {
	c.replace(work, h, told, func(ctx context.Context) error { return c.broker.Retry(ctx, next, wait) })
}

// bury puts h into the dead queue.
func (c *copier) bury(work context.Context, h *hand, cause string, told report) {
	c.replace(work, h, told, func(ctx context.Context) error { return c.broker.Bury(ctx, h.Delivery, cause) })
}

// replace acknowledges h once its copy is confirmed. If that cannot be had in time,
// or at once when the worker stops, the message goes back to its queue.
func (c *copier) replace(work context.Context, h *hand, told report, publish func(context.Context) error) {
	ctx, cancel := context.WithTimeout(work, copyTimeout)
	defer cancel()
	for pause := minPause; ; pause = min(2*pause, maxPause) {
		err := publish(ctx)
		if err == nil {
			failpoint.Hit(failpoint.Replaced)
			c.tell(work, h, told, core.Recorded)
			h.ack()
			return
		}
		if errors.Is(err, ackbox.ErrClosed) || c.isStopping() || !c.pause(ctx, jitter(pause)) {
			c.cfg.Logger.WarnContext(work, "worker: a message without a row here cannot be put aside; it goes back to its queue", "kind", h.Kind, "id", h.ID, "queue", h.Queue, "error", err)
			h.requeue()
			return
		}
	}
}

// pause waits for d and reports false if ctx ended, or the worker began to stop.
func (c *copier) pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
	case <-c.stopping:
	}
	return false
}
