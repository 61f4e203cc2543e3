package memory

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
)

// deadSuffix makes the name of a work queue that of its dead queue.
const deadSuffix = core.DeadSuffix

// Bury puts a copy of d into the dead queue "<d.Queue>.dead", with cause in
// its header [ackbox.HeaderError]. The copy stays until RequeueDead, DeleteDead or a
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
	m := aside(d, viaDefault(d.Job, q.dead))
	m.job.Kind = d.Kind
	m.cause, m.renewals, m.diedAt = cause, 0, time.Unix(time.Now().Unix(), 0)
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.refuses(ctx); err != nil {
		return fmt.Errorf("memory: burying message %s: %w", d.ID, err)
	}
	q.dead.add(m)
	return nil
}

// Dead tells which messages of the dead queue of queue filter chooses, up to limit of
// them, oldest first, and how many there are. It is the dry run of RequeueDead and
// DeleteDead. This broker has no dead queues of other systems: filter.In is an error.
func (b *Broker) Dead(ctx context.Context, name string, filter ackbox.DeadFilter, limit int) (ackbox.DeadReport, error) {
	report := ackbox.DeadReport{Complete: true}
	err := b.sift(ctx, "looking at", name, filter, limit, func(_ *queue, _ *message, dead ackbox.DeadMessage) (bool, error) {
		report.Matched++
		if len(report.Messages) < limit {
			report.Messages = append(report.Messages, dead)
		}
		return true, nil
	}, &report.Looked)
	return report, err
}

var errFull = errors.New("the queue is full")

// RequeueDead moves up to limit messages (0 or more) that filter chooses from the dead
// queue of queue back into it, oldest first. They have all their tries again:
// AttemptsBefore says how many they had. It returns how
// many it moved; fewer than limit without an error means that no more were there.
// It stops with an error when queue is at
// its MaxLength, and fails as Retry does.
func (b *Broker) RequeueDead(ctx context.Context, name string, filter ackbox.DeadFilter, limit int) (moved int, err error) {
	err = b.sift(ctx, "requeueing", name, filter, limit, func(q *queue, m *message, _ ackbox.DeadMessage) (bool, error) {
		if moved == limit {
			return true, nil
		}
		if q.full() {
			return true, errFull
		}
		again := message{job: m.job}
		if again.job.Ledger == "" {
			again.job.AttemptsBefore = again.job.Attempt
			again.job.Attempt++
			again.job.Kind = again.job.Message.Type // which Bury has set to the handler's
			again.firstSeen = time.Unix(time.Now().Unix(), 0)
		} else {
			again.strays = 1 // not its first copy: the ledger will be asked
			again.job.RoutingKey = q.name
		}
		q.add(again)
		moved++
		return false, nil
	}, new(int))
	return moved, err
}

// DeleteDead deletes up to limit messages that filter chooses from the dead queue of
// queue, oldest first, and returns how many. It refuses an empty filter unless All is
// set.
func (b *Broker) DeleteDead(ctx context.Context, name string, filter ackbox.DeadFilter, limit int) (deleted int, err error) {
	if err := filter.Deletes(); err != nil {
		return 0, fmt.Errorf("memory: deleting dead messages of %q: %w", name, err)
	}
	err = b.sift(ctx, "deleting", name, filter, limit, func(*queue, *message, ackbox.DeadMessage) (bool, error) {
		if deleted == limit {
			return true, nil
		}
		deleted++
		return false, nil
	}, new(int))
	return deleted, err
}

// sift has chosen say of each message of a dead queue that filter chooses whether it
// stays there.
func (b *Broker) sift(ctx context.Context, what, name string, filter ackbox.DeadFilter, limit int,
	chosen func(*queue, *message, ackbox.DeadMessage) (stays bool, err error), looked *int,
) error {
	q, err := b.workQueue(name)
	if err != nil {
		return err
	}
	fail := func(err error) error { return fmt.Errorf("memory: %s dead messages of %q: %w", what, name, err) }
	switch {
	case limit < 0:
		return fail(fmt.Errorf("limit is %d: want 0 or more", limit))
	case filter.In != "" && filter.In != q.dead.name:
		return fail(fmt.Errorf("DeadFilter.In is %q: this broker has only %q", filter.In, q.dead.name))
	}
	if err := filter.Validate(); err != nil {
		return fail(err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.refuses(ctx); err != nil {
		return fail(err)
	}
	for range q.dead.ready.len() {
		m := q.dead.ready.popFront()
		*looked++
		dead := ackbox.DeadMessage{Job: m.delivery().Job, Error: m.cause, FirstSeen: m.firstSeen, DiedAt: m.diedAt}
		dead.Queue = q.name
		stays := true
		if err == nil && filter.Match(dead) {
			stays, err = chosen(q, m, dead)
		}
		if stays {
			q.dead.ready.pushBack(m)
		}
	}
	if err != nil {
		return fail(err)
	}
	return nil
}
