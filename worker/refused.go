package worker

import (
	"context"
	"time"

	"github.com/ackbox/ackbox/internal/core"
)

const (
	// refusedInterval is how often the ledger is asked for jobs that the broker has
	// refused for too long.
	refusedInterval = 5 * time.Second
	// refusedPause is the interval while it may have more of them.
	refusedPause = 200 * time.Millisecond
)

// maxRefused bounds how many of them are in hand at once.
const maxRefused = 100

// refusals takes in jobs that never reached the broker, so that their FailAction is
// called: from the ledger, and into the same lines as all others.
type refusals struct {
	*shift
	lines map[string]*slots // by queue
	ended chan struct{}     // when it takes in nothing more
}

// run asks until ctx ends. Handlers run under work.
func (r *refusals) run(ctx, work context.Context) {
	defer close(r.ended)
	next := time.NewTimer(refusedInterval)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-next.C:
			if r.take(ctx, work) {
				next.Reset(refusedPause)
			} else {
				next.Reset(refusedInterval)
			}
		}
	}
}

// take takes in as many as could start at once, and reports whether there may be more.
func (r *refusals) take(ctx, work context.Context) (more bool) {
	limit := 0
	var queues []string
	for queue, slots := range r.lines {
		if r.gates[queue].isShut() {
			continue
		}
		queues = append(queues, queue)
		limit += max(0, slots.line.free())
	}
	if len(queues) == 0 {
		return false
	}
	// A busy queue is why the broker refuses jobs, so one waits in line even then.
	inHand := r.hands.those(func(h *hand) bool { return h.refused })
	if limit = min(max(1, limit), maxRefused) - len(inHand); limit <= 0 {
		return true
	}
	bounded, cancel := context.WithTimeout(ctx, ledgerTimeout)
	defer cancel()
	jobs, err := r.ledger.Refused(bounded, r.heart.ID(), queues, limit)
	if err != nil && ctx.Err() == nil && r.said.fresh("refused") {
		r.cfg.Logger.WarnContext(ctx, "worker: the ledger cannot be asked for jobs that the broker refused for too long; trying again", "error", err)
	}
	for _, job := range jobs {
		in, ok := r.lines[job.Queue]
		if !ok {
			continue // of a queue that was not asked for
		}
		h := r.hands.take(core.Delivery{Job: job}, in.line)
		if h == nil {
			continue // a copy of it came all the same, and runs
		}
		h.refuse()
		if !in.wait(work, h) {
			h.requeue()
		}
	}
	return len(jobs) == limit
}

// refuse notes that h is to be given up without having run.
func (h *hand) refuse() {
	h.set.mu.Lock()
	defer h.set.mu.Unlock()
	h.refused, h.record = true, asRunning
}
