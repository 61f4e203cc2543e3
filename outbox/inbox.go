package outbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/internal/mark"
)

// The inbox is what makes an effect happen once for a message that has no row: its queue
// and id are written in the handler's transaction, and a copy of it meets that row. It is
// not the ledger: it knows nothing of a message before its effect is committed, and all
// that a failed try leaves is in the broker.

// inbox has the statements for it. A message that was given up gives way to another
// round, which an operator's requeue from the dead queue begins.
func (s *statements) inbox(text func(string) string) {
	s.receive = text(`INSERT INTO {inbox} AS t (queue, id, round, dead, finished_at) VALUES (?, ?, ?, {flag ?}, {now})
ON CONFLICT (queue, id) DO UPDATE SET round = excluded.round, dead = excluded.dead, finished_at = excluded.finished_at
	WHERE t.dead AND t.round < excluded.round
RETURNING {micros finished_at}`)
	s.received = text(`SELECT round, dead, {micros finished_at} FROM {inbox} WHERE queue = ? AND id = ?`)
	s.purgeInbox = text(`WITH picked AS MATERIALIZED (
	SELECT queue, id FROM {inbox} WHERE ` + aged("finished_at") + ` ORDER BY finished_at LIMIT ? {lock delete}
)
DELETE FROM {inbox} WHERE (queue, id) IN (SELECT queue, id FROM picked)`)
}

// maxMessageID is AMQP's bound for a message-id, in bytes.
const maxMessageID = 255

// receive completes the message of ctx's handler within the handler's transaction.
func (s *Store) receive(ctx context.Context, c gorm.ConnPool, run ackbox.Run) error {
	job := run.Job
	switch {
	case job.IDFromContent:
		return fmt.Errorf("outbox: complete a message from queue %.100q: %w", job.Queue, ErrNoIdentity)
	case !identifies(job):
		return fmt.Errorf("outbox: complete message %.100q from queue %.100q: its id is no text of 1 to %d bytes: %w", job.ID, job.Queue, maxMessageID, ErrNoIdentity)
	}
	if err := s.ours(ctx, c); err != nil {
		return err
	}
	// Another copy's transaction that has written the same is waited for.
	bounded, cancel := context.WithTimeout(ctx, s.cfg.WireTimeout+s.cfg.StatementTimeout)
	defer cancel()
	var at dbTime
	err := c.QueryRowContext(bounded, s.sql.receive, job.Queue, job.ID, job.AttemptsBefore, run.Cause != nil).Scan(&at)
	if errors.Is(err, sql.ErrNoRows) {
		return s.whyNotReceived(ctx, c, job)
	}
	if err != nil {
		return notReceived(ctx, bounded, job, err)
	}
	mark.From(ctx).Set(key(c), at.Time)
	return nil
}

// identifies reports whether a message can be told by its queue and id.
func identifies(job ackbox.Job) bool {
	return job.ID != "" && len(job.ID) <= maxMessageID && plain(job.ID) && plain(job.Queue) && job.AttemptsBefore >= 0
}

// whyNotReceived says why a message could not be completed.
func (s *Store) whyNotReceived(ctx context.Context, c gorm.ConnPool, job ackbox.Job) error {
	bounded, cancel := s.deadline(ctx)
	defer cancel()
	_, _, finished, err := s.inboxRow(bounded, c, job)
	switch {
	case errors.Is(err, sql.ErrNoRows): // purged between the two statements
		return fmt.Errorf("outbox: complete message %s: %w", job.ID, ackbox.ErrBusy)
	case err != nil:
		return notReceived(ctx, bounded, job, err)
	}
	return finishedBefore(ctx, c, job, finished)
}

func notReceived(ctx, bounded context.Context, job ackbox.Job, err error) error {
	if ctx.Err() == nil && (bounded.Err() != nil || notHad(err)) {
		return fmt.Errorf("outbox: complete message %s: %w: %w", job.ID, ackbox.ErrBusy, err)
	}
	return fmt.Errorf("outbox: complete message %s: %w", job.ID, explain(err))
}

func (s *Store) inboxRow(ctx context.Context, c gorm.ConnPool, job ackbox.Job) (round int, dead bool, finished time.Time, err error) {
	var at dbTime
	err = c.QueryRowContext(ctx, s.sql.received, job.Queue, job.ID).Scan(&round, &dead, &at)
	return round, dead, at.Time, err
}

// Received tells a worker what the inbox has of a message without a row: Started, that
// it may be run; Stale, that its effect is committed; GivenUp, that it was given up in
// this round and has to go to the dead queue, in case it did not get there.
func (s *Store) Received(ctx context.Context, job ackbox.Job) (core.Verdict, error) {
	if job.IDFromContent || !identifies(job) {
		return core.Started, nil // Complete refuses it
	}
	ctx, cancel := s.deadline(ctx)
	defer cancel()
	round, dead, _, err := s.inboxRow(ctx, s.pool, job)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return core.Started, nil
	case err != nil:
		return core.Busy, fmt.Errorf("outbox: look for message %s in the inbox: %w", job.ID, explain(err))
	case dead && round < job.AttemptsBefore:
		return core.Started, nil
	case dead && round == job.AttemptsBefore:
		return core.GivenUp, nil
	}
	return core.Stale, nil
}

// PurgeInbox deletes up to limit entries of the inbox that are older than retention;
// limit is 1 to [MaxBatch]. It returns how many. A copy of a message that comes after
// that runs again. Safe to call from every instance at once.
func (s *Store) PurgeInbox(ctx context.Context, retention time.Duration, limit int) (int, error) {
	return s.sweepWith(ctx, "purge the inbox", "", s.sql.purgeInbox, nil, retention, limit)
}
