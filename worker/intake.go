package worker

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
)

// run is what lives as long as one call of [Worker.Run].
type run struct {
	*Worker
	recorder *recorder
	slots    *semaphore.Weighted // of the process
	kick     chan struct{}       // asks for vouching now
	mute     bool                // the last vouching failed; watch's own
	unknown  kinds               // those whose lack of a handler is logged
	// stop ends the intake of all queues.
	stop context.CancelCauseFunc
}

// consume keeps a subscription to q until intake ends, and returns when every
// delivery of it is settled. Handlers run under work, which ends only when the
// grace period is over.
func (r *run) consume(intake, work context.Context, q Queue) error {
	// Everything the broker hands out is taken in at once, so that the worker
	// can vouch for it; prefetch bounds how much that is.
	waiting := make(chan *inHand, q.Prefetch)
	var jobs errgroup.Group
	jobs.Go(func() error {
		// What has not started when intake ends goes back at once.
		<-intake.Done()
		for h := range waiting {
			h.requeue()
		}
		return nil
	})
	started := 0
	err := r.subscribe(intake, q, waiting, func() {
		if started < q.Concurrency {
			started++
			jobs.Go(func() error { return r.work(intake, work, waiting, &jobs) })
		}
	})
	close(waiting)
	return errors.Join(err, jobs.Wait())
}

// work handles what is waiting, one after the other, until waiting is closed. It
// is kept from job to job: a goroutine for each would grow a new stack each time.
func (r *run) work(intake, work context.Context, waiting <-chan *inHand, jobs *errgroup.Group) error {
	over := false
	defer func() {
		if !over { // a handler has ended the goroutine: another one takes over
			jobs.Go(func() error { return r.work(intake, work, waiting, jobs) })
		}
	}()
	for h := range waiting {
		r.inSlot(intake, work, h)
	}
	over = true
	return nil
}

// inSlot handles h in a slot of the process, or gives it back if there is none
// before intake ends.
func (r *run) inSlot(intake, work context.Context, h *inHand) {
	if r.slots.Acquire(intake, 1) != nil {
		h.requeue()
		return
	}
	defer r.slots.Release(1)
	if h.start() { // its subscription may have been lost since
		r.handle(intake, work, h)
	}
}

// subscribe consumes, again and again, until ctx ends or the broker is closed,
// which ends the intake of all queues. It calls came after each delivery.
func (r *run) subscribe(ctx context.Context, q Queue, waiting chan *inHand, came func()) error {
	if !r.introduce(ctx) {
		return nil
	}
	pause := minPause
	for {
		began := time.Now()
		err := r.broker.Consume(ctx, q.Name, q.Prefetch, func(d core.Delivery) {
			r.takeIn(ctx, d, waiting)
			came()
		})
		if ctx.Err() != nil {
			return nil //nolint:nilerr // told to stop: how the subscription ended does not matter
		}
		if errors.Is(err, ackbox.ErrClosed) {
			err = fmt.Errorf("worker: consume queue %s: %w", q.Name, err)
			r.stop(err)
			return err
		}
		// The broker hands these out again, here or elsewhere: run from here
		// they would be second copies, and in the way of what comes next.
		r.giveBack(q, waiting)
		if time.Since(began) > maxPause {
			pause = minPause
		}
		r.cfg.Logger.WarnContext(ctx, "worker: the subscription ended; subscribing again", "queue", q.Name, "error", err, "in", pause)
		if !sleep(ctx, jitter(pause)) {
			return nil
		}
		pause = min(2*pause, maxPause)
	}
}

// giveBack returns what has not started: all that waits, and what waits for a
// slot of the process.
func (r *run) giveBack(q Queue, waiting <-chan *inHand) {
	for _, h := range r.held.unstarted(q.Name) {
		h.requeue()
	}
	for {
		select {
		case <-waiting: // given back by now
		default:
			return
		}
	}
}

// takeIn registers a delivery and queues it. It does not wait:
// waiting has room for all that the broker may hand out.
func (r *run) takeIn(ctx context.Context, d core.Delivery, waiting chan<- *inHand) {
	h := r.held.take(d)
	if h == nil {
		return // joined to the copy in hand
	}
	if again(d) {
		r.vouchNow() // it may have been without a holder for long
	}
	select {
	case waiting <- h:
	case <-ctx.Done():
		h.requeue()
	}
}

// Pauses between attempts while database or broker keep failing.
const (
	minPause = 100 * time.Millisecond
	maxPause = 5 * time.Second
)

// ledgerTimeout bounds each call of the ledger, should it have no bound of its
// own.
const ledgerTimeout = 30 * time.Second

// sleep waits for d and reports false if ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// jitter spreads d by ±20%.
func jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.8 + 0.4*rand.Float64())) //nolint:gosec // spreading load needs no secrecy
}
