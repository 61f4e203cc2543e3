package memory

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/ackbox/ackbox/internal/core"
)

// Retry parks a copy of d, with Attempt as d has it, and puts it back into the
// work queue d.Queue after delay, rounded up to the next rung of
// Config.RetryLadder, or down to one that is at most a fifth shorter; a delay above the
// last rung waits as long as the last one. The copy travels through the default exchange, and it is let in even if
// the queue is at its MaxLength by then. Nothing else waits for it.
//
// Retry is for messages that no row of the caller's ledger stands behind. It does
// not settle d: ack it once Retry has returned nil. It fails, without a copy, if d.Queue is not a
// work queue of the topology, if ctx has ended, while the broker is away and
// after Close.
func (b *Broker) Retry(ctx context.Context, d core.Delivery, delay time.Duration) error {
	q, err := b.workQueue(d.Queue)
	if err != nil {
		return err
	}
	job := viaDefault(d.Job, q)
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.refuses(ctx); err != nil {
		return fmt.Errorf("memory: parking message %s for a retry: %w", d.ID, err)
	}
	b.ladder.park(aside(d, job), q, delay)
	b.arm()
	return nil
}

// ladder holds the messages that wait for a retry. On each rung all wait
// equally long, so the one that was parked first is due first.
type ladder struct {
	rungs []rung
	// timer calls Broker.release at wakeAt; nil if nothing waits. firing counts
	// the calls that were set up and have neither returned nor been stopped.
	timer  *time.Timer
	wakeAt time.Time
	firing sync.WaitGroup
}

type rung struct {
	delay  time.Duration
	parked ring[parked]
}

type parked struct {
	message message
	queue   *queue
	due     time.Time
}

func newLadder(delays []time.Duration) ladder {
	rungs := make([]rung, len(delays))
	for i, delay := range delays {
		rungs[i].delay = delay
	}
	return ladder{rungs: rungs}
}

func (l *ladder) park(m message, q *queue, delay time.Duration) {
	i := 0
	for i < len(l.rungs)-1 && l.rungs[i].delay+l.rungs[i].delay/5 < delay {
		i++
	}
	r := &l.rungs[i]
	r.parked.pushBack(parked{message: m, queue: q, due: time.Now().Add(r.delay)})
}

// next returns the rung whose first message is due first, nil if none waits.
func (l *ladder) next() *rung {
	var first *rung
	for i := range l.rungs {
		r := &l.rungs[i]
		if r.parked.len() > 0 && (first == nil || r.parked.front().due.Before(first.parked.front().due)) {
			first = r
		}
	}
	return first
}

// stop stops the timer. A call that is already on its way finds nothing due.
func (l *ladder) stop() {
	if l.timer != nil && l.timer.Stop() {
		l.firing.Done()
	}
	l.timer = nil
}

func (l *ladder) forget() {
	l.stop()
	for i := range l.rungs {
		l.rungs[i].parked = ring[parked]{}
	}
}

// arm sets the timer for the message that is due first.
func (b *Broker) arm() {
	l := &b.ladder
	first := l.next()
	if first == nil {
		return
	}
	due := first.parked.front().due
	if l.timer != nil && !due.Before(l.wakeAt) {
		return
	}
	l.stop()
	l.wakeAt = due
	l.firing.Add(1)
	l.timer = time.AfterFunc(time.Until(due), b.release)
}

// release puts what is due back into the work queues. It runs in the timer's
// goroutine, which Close awaits.
func (b *Broker) release() {
	defer b.ladder.firing.Done()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ladder.stop() // a newer timer may have been set meanwhile
	now := time.Now()
	for r := b.ladder.next(); r != nil && !r.parked.front().due.After(now); r = b.ladder.next() {
		p := r.parked.popFront()
		p.queue.add(p.message)
	}
	b.arm()
}
