package worker

import (
	"context"
	"fmt"
	"time"

	"github.com/ackbox/ackbox"
)

// outcomes records the outcomes of many jobs together, then acknowledges them.
type outcomes struct {
	*Worker
	in     chan outcome
	closed chan struct{} // when nobody records any more
}

type outcome struct {
	h          *inHand
	transition ackbox.Transition
}

func newOutcomes(w *Worker) *outcomes {
	// Room for one flush while another is on its way; prefetch bounds how many
	// outcomes can ever wait.
	return &outcomes{Worker: w, in: make(chan outcome, w.cfg.FlushSize), closed: make(chan struct{})}
}

// add queues the outcome of h. The handler's slot is free as soon as it
// returns; h is acknowledged when the outcome is durable.
func (o *outcomes) add(h *inHand, t ackbox.Transition) {
	t.ID, t.Attempt = h.ID, h.Attempt
	select {
	case o.in <- outcome{h, t}:
	case <-o.closed:
		h.requeue()
	}
}

// run flushes until ctx ends.
func (o *outcomes) run(ctx context.Context) {
	defer close(o.closed)
	var pending []outcome
	for {
		pending = o.collect(ctx, pending)
		if ctx.Err() != nil {
			return
		}
		pending = o.flush(ctx, pending)
	}
}

// collect waits for an outcome, and then FlushInterval for more, but not for
// more than FlushSize in all.
func (o *outcomes) collect(ctx context.Context, pending []outcome) []outcome {
	if len(pending) == 0 {
		select {
		case <-ctx.Done():
			return nil
		case first := <-o.in:
			pending = append(pending, first)
		}
	}
	linger := time.NewTimer(o.cfg.FlushInterval)
	defer linger.Stop()
	for len(pending) < o.cfg.FlushSize {
		select {
		case <-ctx.Done():
			return pending
		case next := <-o.in:
			pending = append(pending, next)
		case <-linger.C:
			return pending
		}
	}
	return pending
}

// flush records pending, acknowledges what is durable, and returns what is to
// be asked again: rows that a dispatcher still has locked, and everything if
// the ledger did not answer. Asking again is safe: what is recorded already
// comes back stale.
func (o *outcomes) flush(ctx context.Context, pending []outcome) []outcome {
	for pause := minPause; ; pause = min(2*pause, maxPause) {
		left, err := o.record(ctx, pending)
		if err == nil || ctx.Err() != nil {
			return left
		}
		o.cfg.Logger.Error("worker: outcomes cannot be recorded; trying again", "jobs", len(pending), "error", err)
		if !sleep(ctx, jitter(pause)) {
			return pending
		}
		if len(pending) > 1 && pause > minPause {
			// It may be one of them that cannot be recorded: the others must
			// not wait for it.
			pending = o.recordSingly(ctx, pending)
			if len(pending) == 0 {
				return nil
			}
		}
	}
}

// record asks the ledger once and returns the outcomes that are still open.
func (o *outcomes) record(ctx context.Context, pending []outcome) ([]outcome, error) {
	transitions := make([]ackbox.Transition, len(pending))
	for i, p := range pending {
		transitions[i] = p.transition
	}
	verdicts, err := o.ledger.Finish(ctx, transitions)
	if err != nil {
		return pending, err
	}
	if len(verdicts) != len(pending) {
		return pending, fmt.Errorf("the ledger returned %d verdicts for %d outcomes", len(verdicts), len(pending))
	}
	var open []outcome
	for i, p := range pending {
		if verdicts[i] == ackbox.Busy {
			open = append(open, p)
			continue
		}
		p.h.ack()
	}
	return open, nil
}

// recordSingly records one outcome at a time and returns those left open. It
// stops at the third failure in a row from the start: then it is the ledger
// that fails, and not one of the outcomes.
func (o *outcomes) recordSingly(ctx context.Context, pending []outcome) []outcome {
	var open []outcome
	for i := range pending {
		left, err := o.record(ctx, pending[i:i+1])
		open = append(open, left...)
		if ctx.Err() != nil || err != nil && i >= 2 && len(open) == i+1 {
			return append(open, pending[i+1:]...)
		}
	}
	return open
}
