package worker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
)

// intake is the first step: it takes in what the broker hands out of one queue, while that is
// not paused. All
// of it is taken in at once, so that the worker can say what it holds; prefetch
// bounds how much that is.
type intake struct {
	*shift
	queue Queue
	next  *slots
	gate  *gate
	// kick asks for what is in hand to be looked at now.
	kick chan<- struct{}
	// stop ends the intake of all queues.
	stop context.CancelCauseFunc
}

// run keeps a subscription until ctx ends, and returns when every delivery of it is
// settled and no slot is taken. Handlers run under work.
func (i *intake) run(ctx, work context.Context) error {
	err := i.subscribe(ctx, work)
	return errors.Join(err, i.next.all.Wait())
}

// subscribe consumes, time and again and while the queue is not paused, until ctx ends or
// the broker is closed, which ends the intake of all queues. It returns when every
// subscription has ended.
func (i *intake) subscribe(ctx, work context.Context) error {
	var all sync.WaitGroup
	defer all.Wait()
	// What has not started goes back at once, but not before every subscription knows that
	// it ends: a message that went back earlier would come here again.
	defer i.next.close(work)
	pause := minPause
	for {
		shut, ok := i.gate.await(ctx)
		if !ok {
			return nil
		}
		began := time.Now()
		sub, end := context.WithCancel(ctx)
		ended := make(chan error, 1)
		all.Go(func() { ended <- i.consume(ctx, sub, work) })
		var err error
		select {
		case err = <-ended:
			end()
		case <-shut:
			// What runs goes on, and keeps its subscription until it is settled; another
			// one may begin before that.
			end()
			i.standStill(work)
			continue
		case <-ctx.Done():
			end()
			return nil
		}
		if ctx.Err() != nil {
			return nil // told to stop: how the subscription ended does not matter
		}
		if errors.Is(err, ackbox.ErrClosed) {
			err = fmt.Errorf("worker: consume queue %s: %w", i.queue.Name, err)
			i.stop(err)
			return err
		}
		// The broker hands these out again, here or elsewhere: run from here
		// they would be second copies, and in the way of what comes next.
		for _, h := range i.next.line.takeOut(func(h *hand) bool { return !h.refused }) {
			h.requeue()
		}
		i.look()
		if time.Since(began) > maxPause {
			pause = minPause
		}
		i.cfg.Logger.WarnContext(ctx, "worker: the subscription ended; subscribing again", "queue", i.queue.Name, "error", err, "in", pause)
		if !sleep(ctx, jitter(pause)) {
			return nil
		}
		pause = min(2*pause, maxPause)
	}
}

// consume consumes until sub ends, by ctx or because the queue is paused.
func (i *intake) consume(ctx, sub, work context.Context) error {
	err := i.broker.Consume(sub, i.queue.Name, i.queue.Prefetch, func(d core.Delivery) { i.take(sub, work, d) })
	if ctx.Err() == nil && (err != nil || sub.Err() == nil) {
		i.hands.lose(i.queue.Name) // what runs of it comes again
	}
	return err
}

// standStill gives back what waits, because the queue is paused. Jobs that the broker has
// refused are nobody else's: they go on.
func (i *intake) standStill(work context.Context) {
	waiting := i.next.line.takeOut(func(h *hand) bool { return !h.refused })
	i.next.all.Go(func() error {
		for _, h := range waiting {
			i.next.next.outcomes.notStarted(work, h)
		}
		return nil
	})
}

// take takes a delivery of a subscription in, which lasts until sub ends. It does not wait.
func (i *intake) take(sub, work context.Context, d core.Delivery) {
	if d.Ledger == "" {
		var err error
		if d, err = i.queue.Messages.read(d); err != nil && i.said.fresh("find "+i.queue.Name) {
			i.cfg.Logger.ErrorContext(work, "worker: a function of Queue.Messages fails; it finds nothing", "id", d.ID, "queue", i.queue.Name, "error", err)
		}
		if i.hands.rejoin(d) {
			return
		}
	}
	h := i.hands.take(d, i.next.line)
	if h == nil {
		return // joined to the copy in hand
	}
	if returned(d) {
		i.look() // it may have been without a holder for long
	}
	if !i.next.wait(work, h) || i.gate.isShut() && i.next.line.remove(h) {
		i.next.all.Go(func() error {
			<-sub.Done() // before that it would come here again
			i.next.next.outcomes.notStarted(work, h)
			return nil
		})
	}
}

// look has what is in hand looked at without waiting for the next time.
func (i *intake) look() {
	select {
	case i.kick <- struct{}{}:
	default:
	}
}
