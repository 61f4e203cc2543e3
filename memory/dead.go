package memory

import (
	"context"
	"fmt"

	"github.com/ackbox/ackbox/internal/core"
)

// deadSuffix makes the name of a work queue that of its dead queue.
const deadSuffix = core.DeadSuffix

// Bury puts a copy of d into the dead queue "<d.Queue>.dead", with cause in
// its header [ackbox.HeaderError]. The copy stays until RequeueDead or a
// consumer takes it: consuming the dead queue's name is allowed, so that a
// test can look at it, and shows that header among the caller's own.
//
// Bury is for messages that no row of the caller's ledger stands behind. It does
// not settle d: ack it once
// Bury has returned nil. It fails, without a copy, as Retry does.
func (b *Broker) Bury(ctx context.Context, d core.Delivery, cause string) error {
	q, err := b.workQueue(d.Queue)
	if err != nil {
		return err
	}
	job := viaDefault(d.Job, q.dead)
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.refuses(ctx); err != nil {
		return fmt.Errorf("memory: burying message %s: %w", d.ID, err)
	}
	m := aside(d, job)
	m.cause, m.renewals = cause, 0
	q.dead.add(m)
	return nil
}

// RequeueDead moves up to limit messages (0 or more) from the dead queue of
// queue back into it, oldest first, each without its error header and with
// Attempt 1, but for a job that went astray: its row counts that. It returns how
// many it moved; fewer than limit without an error means that no more were there.
// It stops with an error when queue is at
// its MaxLength, and fails as Retry does.
func (b *Broker) RequeueDead(ctx context.Context, queue string, limit int) (int, error) {
	q, err := b.workQueue(queue)
	if err != nil {
		return 0, err
	}
	if limit < 0 {
		return 0, fmt.Errorf("memory: limit is %d: want 0 or more", limit)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.refuses(ctx); err != nil {
		return 0, fmt.Errorf("memory: requeueing the dead messages of %q: %w", queue, err)
	}
	moved := 0
	for moved < limit && q.dead.ready.len() > 0 {
		if q.full() {
			return moved, fmt.Errorf("memory: requeueing the dead messages of %q: the queue is full", queue)
		}
		job := q.dead.ready.popFront().job
		m := message{job: job}
		if job.Ledger == "" {
			m.job.Attempt = 1
		} else {
			m.strays = 1 // not its first copy: the ledger will be asked
			m.job.RoutingKey = q.name
		}
		q.add(m)
		moved++
	}
	return moved, nil
}
