package worker

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/internal/failpoint"
)

// recorder records the outcomes of many jobs together, then acknowledges them.
//
// Three things can keep an outcome from being recorded, and none of them may
// keep back another's: its row is locked by a dispatcher (it is asked again in
// a few milliseconds), it cannot be recorded at all (it is asked again by
// itself, at growing intervals), or the ledger is down (everything waits).
type recorder struct {
	*Worker
	announcer Announcer       // nil if the ledger is none
	released  <-chan struct{} // its own
	in        chan *outcome
	closed    chan struct{} // when nobody records any more

	// All below belongs to the goroutine of run.
	open   []*outcome    // those to be asked again
	resume time.Time     // nothing is asked before: the ledger is down
	outage time.Duration // the pause that leads to resume; 0 while it is up
}

type outcome struct {
	h          *inHand
	transition core.Transition
	due        time.Time     // when it is to be asked; zero for at once
	pause      time.Duration // the last pause before it was asked again
	alone      bool          // it failed by itself: nothing is asked together with it
}

func newRecorder(w *Worker) *recorder {
	// Room for one flush while another is on its way; prefetch bounds how many
	// outcomes can ever wait.
	r := &recorder{Worker: w, in: make(chan *outcome, w.cfg.FlushSize), closed: make(chan struct{})}
	if a, ok := w.ledger.(Announcer); ok {
		r.announcer, r.released = a, a.Released()
	}
	return r
}

// add queues the outcome of h. The handler's slot is free as soon as it
// returns; h is acknowledged when the outcome is durable.
func (r *recorder) add(h *inHand, t core.Transition) {
	t.ID, t.Attempt = h.ID, h.Attempt
	if r.announcer != nil {
		r.announcer.Announce(t)
	}
	select {
	case r.in <- &outcome{h: h, transition: t}:
	case <-r.closed:
		h.requeue()
	}
}

// run records until ctx ends. What is not recorded then is for the caller to
// give back.
func (r *recorder) run(ctx context.Context) {
	defer close(r.closed)
	for {
		batch, ok := r.collect(ctx)
		if !ok {
			return
		}
		r.flush(ctx, batch)
	}
}

// collect waits until there is something to ask: fresh outcomes, for which it
// lingers FlushInterval but takes no more than FlushSize, or an open one that
// is due or was released. It reports false when ctx has ended.
func (r *recorder) collect(ctx context.Context) ([]*outcome, bool) {
	wake := time.NewTimer(r.untilDue())
	defer wake.Stop()
	var fresh []*outcome
	for len(fresh) < r.cfg.FlushSize {
		select {
		case <-ctx.Done():
			return nil, false
		case next := <-r.in:
			fresh = append(fresh, next)
			if len(fresh) == 1 {
				wake.Reset(min(r.untilDue(), r.cfg.FlushInterval))
			}
			continue
		case <-r.released:
			for _, o := range r.open {
				if !o.alone {
					o.due = time.Time{}
				}
			}
		case <-wake.C:
		}
		break
	}
	if down := time.Until(r.resume); down > 0 && !sleep(ctx, down) {
		return nil, false
	}
	now := time.Now()
	due := func(o *outcome) bool { return !o.due.After(now) }
	for _, o := range r.open {
		if due(o) {
			fresh = append(fresh, o)
		}
	}
	r.open = slices.DeleteFunc(r.open, due)
	return fresh, true
}

// untilDue is how long the first of the open outcomes has to wait yet.
func (r *recorder) untilDue() time.Duration {
	wait := time.Hour
	for _, o := range r.open {
		wait = min(wait, time.Until(o.due))
	}
	return max(0, wait)
}

// flush asks the ledger for batch. What stays open is kept for later.
func (r *recorder) flush(ctx context.Context, batch []*outcome) {
	var together []*outcome
	for _, o := range batch {
		if o.alone {
			r.askAlone(ctx, o)
		} else {
			together = append(together, o)
		}
	}
	for group := range slices.Chunk(together, r.cfg.FlushSize) {
		if r.down() {
			r.open = append(r.open, group...) // they are due when it is up again
			continue
		}
		r.askTogether(ctx, group)
	}
}

// down reports whether the ledger has just failed as a whole.
func (r *recorder) down() bool { return time.Now().Before(r.resume) }

// askTogether asks for a group and, if that fails, for each of it: it may be
// one of them that cannot be recorded. If the first few of these fail as well
// it is the ledger, and the group waits for it.
func (r *recorder) askTogether(ctx context.Context, group []*outcome) {
	err := r.ask(ctx, group)
	if err == nil {
		r.up()
		return
	}
	const probes = 3
	var failed []*outcome
	var errs []error // why each of them did
	for i, o := range group {
		if ctx.Err() != nil {
			return
		}
		if len(group) > 1 {
			err = r.ask(ctx, group[i:i+1])
		}
		if err != nil {
			failed, errs = append(failed, o), append(errs, err)
		}
		if last := i == len(group)-1; len(failed) == i+1 && (last || i+1 == probes) {
			// Others probe next time, lest three bad ones keep back the rest.
			r.open = append(append(r.open, group[i+1:]...), failed...)
			r.wentDown(ctx, len(group), err)
			return
		}
	}
	r.up()
	for i, o := range failed {
		r.putAside(ctx, o, errs[i])
	}
}

// askAlone asks for an outcome that failed while others did not.
func (r *recorder) askAlone(ctx context.Context, o *outcome) {
	if err := r.ask(ctx, []*outcome{o}); err != nil {
		r.putAside(ctx, o, err)
	}
}

// putAside keeps an outcome that cannot be recorded, for later and by itself.
func (r *recorder) putAside(ctx context.Context, o *outcome, err error) {
	o.alone = true
	o.wait(minPause, maxPause)
	r.open = append(r.open, o)
	if ctx.Err() == nil {
		r.cfg.Logger.ErrorContext(ctx, "worker: an outcome cannot be recorded; trying again",
			"kind", o.h.Kind, "id", o.h.ID, "queue", o.h.Queue, "state", o.transition.To, "in", o.pause, "error", err)
	}
}

func (r *recorder) wentDown(ctx context.Context, jobs int, err error) {
	r.outage = min(max(minPause, 2*r.outage), maxPause)
	r.resume = time.Now().Add(jitter(r.outage))
	if ctx.Err() == nil {
		r.cfg.Logger.ErrorContext(ctx, "worker: outcomes cannot be recorded; trying again", "jobs", jobs, "in", r.outage, "error", err)
	}
}

func (r *recorder) up() { r.resume, r.outage = time.Time{}, 0 }

// wait sets when o is asked again: after a pause that doubles from low to high.
func (o *outcome) wait(low, high time.Duration) {
	o.pause = min(max(low, 2*o.pause), high)
	o.due = time.Now().Add(o.pause)
}

// Pauses before the ledger is asked again for a row that a dispatcher holds.
const (
	minBusy = 2 * time.Millisecond
	maxBusy = 100 * time.Millisecond
)

// ask asks the ledger once. It acknowledges what is durable and keeps what is
// busy. Asking again after an error is safe: what was recorded all the same
// comes back stale.
func (r *recorder) ask(ctx context.Context, group []*outcome) error {
	ctx, cancel := context.WithTimeout(ctx, ledgerTimeout)
	defer cancel()
	transitions := make([]core.Transition, len(group))
	for i, o := range group {
		transitions[i] = o.transition
	}
	verdicts, err := r.ledger.Finish(ctx, transitions)
	if err != nil {
		return err
	}
	if len(verdicts) != len(group) {
		return fmt.Errorf("the ledger returned %d verdicts for %d outcomes", len(verdicts), len(group))
	}
	failpoint.Hit(failpoint.Recorded)
	durable := make([]*inHand, 0, len(group))
	for i, o := range group {
		if verdicts[i] == core.Busy {
			o.wait(minBusy, maxBusy)
			r.open = append(r.open, o)
			continue
		}
		if verdicts[i] == core.Missing {
			r.missing(ctx, o.h)
		}
		durable = append(durable, o.h)
	}
	ackAll(durable)
	return nil
}
