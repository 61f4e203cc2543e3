package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/internal/failpoint"
)

// recorder is the step that makes the outcomes of many jobs durable together, then
// settles them.
//
// Three things can keep an outcome from being recorded, and none of them may
// keep back another's: its row is locked by a dispatcher (it is asked again in
// a few milliseconds), it cannot be recorded at all (it is asked again by
// itself, at growing intervals), or the ledger is away (everything waits).
type recorder struct {
	*shift
	in     chan *outcome
	closed chan struct{} // when nobody records any more

	// All below belongs to the goroutine of run.
	open   []*outcome    // those to be asked again
	resume time.Time     // nothing is asked before: the ledger is away
	outage time.Duration // the pause that leads to resume; 0 while it is there
}

// outcome is what is to be recorded of a delivery.
type outcome struct {
	hand       *hand
	transition core.Transition
	report     report
	due        time.Time     // when it is to be asked; zero for at once
	pause      time.Duration // the last pause before it was asked again
	alone      bool          // it failed by itself: nothing is asked together with it
	unsure     bool          // it may be recorded, though an error came back
}

func newRecorder(s *shift) *recorder {
	// Room for one flush while another is on its way, and for what waits besides:
	// adding must not wait for the ledger.
	room := s.cfg.FlushSize
	for _, q := range s.cfg.Queues {
		room += q.Prefetch + q.Concurrency
	}
	return &recorder{shift: s, in: make(chan *outcome, room), closed: make(chan struct{})}
}

// add queues the outcome of h. The handler's slot is free as soon as it
// returns; h is settled when the outcome is durable.
func (r *recorder) add(h *hand, t core.Transition, told report) {
	t.ID, t.Attempt, t.Resend, t.Holder, t.Ran = h.ID, h.Attempt, h.Resend, r.heart.ID(), h.runtime()
	r.ledger.Announce(t)
	select {
	case r.in <- &outcome{hand: h, transition: t, report: told}:
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
		case <-r.ledger.Released():
			for _, o := range r.open {
				if !o.alone {
					o.due = time.Time{}
				}
			}
		case <-wake.C:
		}
		break
	}
	if away := time.Until(r.resume); away > 0 && !sleep(ctx, away) {
		return nil, false
	}
	return append(fresh, r.takeDue()...), true
}

// takeDue takes from open what is due; one that is asked for alone only if there is
// no other such, so that however many of them there are, the rest waits for one.
func (r *recorder) takeDue() (list []*outcome) {
	now, alone := time.Now(), false
	r.open = slices.DeleteFunc(r.open, func(o *outcome) bool {
		if o.due.After(now) || o.alone && alone {
			return false
		}
		alone = alone || o.alone
		list = append(list, o)
		return true
	})
	return list
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
		if !o.alone {
			together = append(together, o)
		}
	}
	for group := range slices.Chunk(together, r.cfg.FlushSize) {
		r.record(ctx, group)
	}
	for _, o := range batch {
		if o.alone {
			r.record(ctx, []*outcome{o})
		}
	}
}

// record asks for a group. If that fails a beat tells whether the ledger is away:
// then all wait for it together. If it is there, one of the group cannot be
// recorded, and is looked for by halves.
func (r *recorder) record(ctx context.Context, group []*outcome) {
	if time.Now().Before(r.resume) {
		r.open = append(r.open, group...) // they are due when it is there again
		return
	}
	err := r.ask(ctx, group)
	if err == nil {
		r.isBack(ctx)
		return
	}
	for _, o := range group {
		o.unsure = true
	}
	switch {
	case ctx.Err() != nil:
	case errors.Is(err, context.DeadlineExceeded), r.beat(ctx) != nil:
		r.open = append(r.open, group...)
		r.isAway(ctx, len(group), err)
	case len(group) == 1:
		r.putAside(ctx, group[0], err)
	default:
		half := len(group) / 2
		r.record(ctx, group[:half])
		r.record(ctx, group[half:])
	}
}

// beat writes to the ledger that this worker lives. It tells whether anything can be
// written there: the heart's own beats go on.
func (r *recorder) beat(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, core.BeatInterval)
	defer cancel()
	_, err := r.ledger.Beat(ctx, r.heart.Self(ctx))
	return err
}

// putAside keeps an outcome that cannot be recorded, for later and by itself.
func (r *recorder) putAside(ctx context.Context, o *outcome, err error) {
	o.alone = true
	o.wait(minPause, maxPause)
	r.open = append(r.open, o)
	if r.named.fresh("outcome " + o.hand.ID) {
		r.cfg.Logger.ErrorContext(ctx, "worker: an outcome cannot be recorded; trying again by itself",
			"kind", o.hand.Kind, "id", o.hand.ID, "queue", o.hand.Queue, "state", o.transition.To, "in", o.pause, "error", err)
	}
}

func (r *recorder) isAway(ctx context.Context, jobs int, err error) {
	first := r.outage == 0
	r.outage = min(max(minPause, 2*r.outage), maxPause)
	r.resume = time.Now().Add(jitter(r.outage))
	if first && r.said.fresh("outcomes") {
		r.cfg.Logger.ErrorContext(ctx, "worker: outcomes cannot be recorded; all wait for the ledger", "jobs", jobs, "error", err)
	}
}

func (r *recorder) isBack(ctx context.Context) {
	if r.outage >= maxPause {
		r.cfg.Logger.InfoContext(ctx, "worker: outcomes are recorded again")
	}
	r.resume, r.outage = time.Time{}, 0
}

// wait sets when o is asked again: after a pause that doubles from low to high.
func (o *outcome) wait(low, high time.Duration) {
	o.pause = min(max(low, 2*o.pause), high)
	o.due = time.Now().Add(o.pause)
}

// ask asks the ledger once. It settles what is durable and keeps what is
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
		return fmt.Errorf("worker: the ledger returned %d verdicts for %d outcomes", len(verdicts), len(group))
	}
	failpoint.Hit(failpoint.Recorded)
	durable := make([]*hand, 0, len(group))
	for i, o := range group {
		verdict := verdicts[i]
		if verdict == core.Busy {
			o.wait(minBusy, maxBusy)
			r.open = append(r.open, o)
			continue
		}
		if verdict == core.Stale && o.unsure {
			verdict = core.Recorded // by the call whose answer was lost
		}
		r.tell(ctx, o.hand, o.report, verdict)
		durable = append(durable, o.hand)
	}
	ackAll(durable)
	return nil
}
