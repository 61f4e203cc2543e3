package worker

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/handler"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/internal/failpoint"
	"github.com/ackbox/ackbox/internal/registry"
)

// calls are the calls of the application's code, and of the ledger about a job whose
// handler has returned.
type calls struct {
	*shift
}

var errGoexit = errors.New("the handler ended its goroutine (runtime.Goexit)")

// consume calls Consume under the job's timeout.
func (c *calls) consume(work context.Context, h *hand, entry entry) error {
	return c.call(work, h, entry.Timeout, nil, func(ctx context.Context, job ackbox.Job) (err error) {
		c.hooks.Started(ctx, job)
		at := time.Now()
		defer func() { h.consumed(at, err) }()
		return entry.Handler.Consume(ctx, job)
	})
}

// ending is how a call of FailAction ended.
type ending struct {
	final      bool   // there is no reason for another
	superseded bool   // the ledger had the job finished
	busy       bool   // the ledger could not be written
	text       string // what went wrong
}

// failAction calls FailAction under the job's timeout, in a goroutine of its own,
// which it may panic in or end.
func (c *calls) failAction(work context.Context, h *hand, entry entry, cause error) ending {
	ended := make(chan ending, 1)
	go func() { // awaited below
		end := ending{text: errGoexit.Error()}
		defer func() {
			if p := recover(); p != nil {
				end = ending{text: (&handler.PanicError{Value: p, Stack: debug.Stack()}).Error()}
			}
			ended <- end
		}()
		err := c.call(work, h, entry.Timeout, cause, func(ctx context.Context, job ackbox.Job) error {
			return entry.Handler.FailAction(ctx, job, cause)
		})
		end = endingOf(err)
	}()
	return <-ended
}

func endingOf(err error) ending {
	switch {
	case err == nil:
		return ending{final: true}
	case errors.Is(err, ackbox.ErrSuperseded): // as a rule it has finished the job itself
		return ending{final: true, superseded: true}
	case errors.Is(err, registry.ErrNotCalled):
		return ending{final: true, text: describe(err)}
	}
	return ending{busy: errors.Is(err, ackbox.ErrBusy), text: describe(err)}
}

func (c *calls) call(work context.Context, h *hand, timeout time.Duration, cause error, method handler.Func) error {
	h.begin(timeout)
	defer h.end()
	ctx := ackbox.WithRun(work, ackbox.Run{Job: h.Job, Cause: cause})
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	failpoint.Hit(failpoint.Taken)
	err := method(ctx, h.Job)
	failpoint.Hit(failpoint.Handled)
	if work.Err() == nil && ctx.Err() != nil && errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("not done within %v: %w", timeout, err)
	}
	return err
}

// stillOurs asks the ledger, for as long as it takes, whether h is open and this
// worker's: Recorded if so. atOnce says that the ledger was there, for reading and
// writing. A message without a row always is ours. If work ends first the verdict is
// Busy.
func (c *calls) stillOurs(work context.Context, h *hand) (verdict core.Verdict, atOnce bool) {
	if h.Ledger == "" {
		return core.Recorded, true
	}
	atOnce = true
	for pause := minBusy; ; {
		verdict, err := c.hold(work, h)
		switch {
		case err == nil && verdict != core.Busy:
			return verdict, atOnce
		case err == nil:
			pause = min(2*pause, maxBusy)
		default:
			atOnce = false
			pause = min(max(2*pause, minPause), maxPause)
			if work.Err() == nil && c.said.fresh("hold") {
				c.cfg.Logger.WarnContext(work, "worker: the ledger cannot be asked about a job that failed; it waits for it", "kind", h.Kind, "id", h.ID, "queue", h.Queue, "error", err)
			}
		}
		if !sleep(work, jitter(pause)) {
			return core.Busy, false
		}
	}
}

// received asks what the ledger's inbox has of h, a message without a row, for as long
// as it takes. If work ends first, or the worker stops, the verdict is Busy.
func (c *calls) received(work context.Context, h *hand) core.Verdict {
	for pause := minPause; ; pause = min(2*pause, maxPause) {
		ctx, cancel := context.WithTimeout(work, ledgerTimeout)
		verdict, err := c.ledger.Received(ctx, h.Job)
		cancel()
		if err == nil {
			return verdict
		}
		if c.said.fresh("received") {
			c.cfg.Logger.WarnContext(work, "worker: the ledger cannot be asked whether messages without a row were handled before; they wait for it", "kind", h.Kind, "id", h.ID, "queue", h.Queue, "error", err)
		}
		if c.isStopping() || !sleep(work, jitter(pause)) {
			return core.Busy
		}
	}
}

func (c *calls) hold(ctx context.Context, h *hand) (core.Verdict, error) {
	ctx, cancel := context.WithTimeout(ctx, ledgerTimeout)
	defer cancel()
	holding := h.holding()
	holding.Running = max(holding.Running, time.Nanosecond) // it has its slot
	verdicts, err := c.ledger.Hold(ctx, c.heart.ID(), []core.Holding{holding})
	if err != nil {
		return core.Busy, err
	}
	if len(verdicts) != 1 {
		return core.Busy, fmt.Errorf("worker: the ledger returned %d verdicts for one job", len(verdicts))
	}
	if verdicts[0] == core.Recorded {
		h.recorded(asRunning)
	}
	return verdicts[0], nil
}
