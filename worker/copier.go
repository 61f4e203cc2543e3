package worker

import (
	"context"
	"errors"
	"sync"
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
	held sync.WaitGroup // those whose copy is not made yet
}

// park puts next in h's place, to come again after wait.
func (c *copier) park(work context.Context, h *hand, next core.Delivery, wait time.Duration, told report) {
	c.replace(work, h, told, func(ctx context.Context) error { return c.broker.Retry(ctx, next, wait) })
}

// bury puts h into the dead queue.
func (c *copier) bury(work context.Context, h *hand, cause string, told report) {
	c.replace(work, h, told, func(ctx context.Context) error { return c.broker.Bury(ctx, h.Delivery, cause) })
}

// slotPatience is how long a slot is kept for a copy: as a rule it is made in
// milliseconds.
const slotPatience = time.Second

// replace acknowledges h once its copy is confirmed. Where that cannot be had now, as
// while the broker blocks publishers, h is held back: to return it would run it again,
// uncharged, and again, until the broker drops it. It has no slot meanwhile; prefetch
// bounds how many there are.
func (c *copier) replace(work context.Context, h *hand, told report, publish func(context.Context) error) {
	over := make(chan struct{})
	c.held.Go(func() { defer close(over); c.hold(work, h, told, publish) })
	patience := time.NewTimer(slotPatience)
	defer patience.Stop()
	select {
	case <-over:
	case <-patience.C:
	}
}

// hold tries until the copy is made. When the worker stops the message goes back to its
// queue.
func (c *copier) hold(work context.Context, h *hand, told report, publish func(context.Context) error) {
	for pause := minPause; ; pause = min(2*pause, maxPause) {
		lost, elsewhere := h.whereabouts()
		if elsewhere {
			h.requeue() // its receipt is worth nothing
			return
		}
		err := errLost // a copy would be one too many: the message comes again
		if !lost {
			err = publish(work)
		}
		if err == nil {
			failpoint.Hit(failpoint.Replaced)
			c.tell(work, h, told, core.Recorded)
			h.ack()
			return
		}
		if pause > minPause && c.said.fresh("copy "+h.Queue) {
			c.cfg.Logger.WarnContext(work, "worker: messages without a row cannot be put aside; they are held back until they can", "kind", h.Kind, "id", h.ID, "queue", h.Queue, "error", err)
		}
		if errors.Is(err, ackbox.ErrClosed) || c.isStopping() || !c.pause(work, jitter(pause)) {
			if c.said.fresh("back " + h.Queue) {
				c.cfg.Logger.WarnContext(work, "worker: messages without a row here cannot be put aside; they go back to their queue and run again", "kind", h.Kind, "id", h.ID, "queue", h.Queue, "error", err)
			}
			h.requeue()
			return
		}
	}
}

var errLost = errors.New("its subscription was lost: it is waited for")

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
