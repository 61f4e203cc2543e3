package outbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"time"

	"gorm.io/gorm"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/internal/mark"
)

// The inbox is what makes an effect happen once for a message that has no row: its queue
// and id are written in the handler's transaction, and a copy of it meets that entry. It
// is not the ledger: it knows nothing of a message before its effect is committed, and
// all that a failed try leaves is in the broker.

// inbox has the statements for it.
func (s *statements) inbox(text func(string) string) {
	// Whoever writes the same key is waited for. A message that was given up gives way to
	// a later round, which a requeue from the dead queue begins.
	s.receive = text(`INSERT INTO {inbox} AS t (queue, id, round, dead, finished_at) VALUES (?, ?, ?, {flag ?}, {now})
ON CONFLICT (queue, id) DO UPDATE SET round = excluded.round, dead = excluded.dead, finished_at = excluded.finished_at
	WHERE t.dead AND t.round < excluded.round
RETURNING {micros finished_at}`)
	s.received = text(`SELECT round, dead, {micros finished_at} FROM {inbox} WHERE queue = ? AND id = ?`)
	// By where the entries are, for the reason that picked gives: there is no id alone.
	s.purgeInbox = text(`WITH picked AS MATERIALIZED (
	SELECT {place} AS place FROM {inbox} WHERE ` + aged("finished_at") + ` ORDER BY finished_at LIMIT ? {lock delete}
)
DELETE FROM {inbox} WHERE {place in picked}`)
}

// maxMessageID is AMQP's bound for a message-id, in bytes.
const maxMessageID = 255

// receive completes the message of ctx's handler within the handler's transaction.
func (s *Store) receive(ctx context.Context, c gorm.ConnPool, run ackbox.Run) error {
	job := run.Job
	switch {
	case job.IDFromContent:
		return fmt.Errorf("outbox: complete %s: %w", called(job), ErrNoIdentity)
	case !identifies(job):
		return fmt.Errorf("outbox: complete %s: its id is no text of 1 to %d bytes: %w", called(job), maxMessageID, ErrNoIdentity)
	}
	if err := s.ours(ctx, c); err != nil {
		return err
	}
	bounded, cancel := s.patience(ctx)
	defer cancel()
	var at dbTime
	err := c.QueryRowContext(bounded, s.sql.receive, job.Queue, job.ID, round(job), run.Cause != nil).Scan(&at)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return s.whyNotReceived(ctx, c, job)
	case err != nil:
		return notCompleted(ctx, bounded, called(job), err)
	}
	mark.From(ctx).Set(key(c), at.Time)
	return nil
}

// whyNotReceived says why a message could not be completed. The entry that stood in its
// way is locked since, so it is there still.
func (s *Store) whyNotReceived(ctx context.Context, c gorm.ConnPool, job ackbox.Job) error {
	what := called(job)
	bounded, cancel := s.deadline(ctx)
	defer cancel()
	e, err := s.entered(bounded, c, job)
	switch {
	case errors.Is(err, sql.ErrNoRows): // somebody has deleted it by hand
		return fmt.Errorf("outbox: complete %s: %w", what, ackbox.ErrBusy)
	case err != nil:
		return notCompleted(ctx, bounded, what, err)
	}
	return finishedBefore(ctx, c, what, e.at)
}

// Received tells a worker what the inbox has of a message without a row: Started, that
// it may be run; Stale, that its effect is committed; GivenUp, that it was given up in
// this round and has to go to the dead queue, in case it did not get there. Nobody is
// waited for: what another transaction has not committed yet is not seen.
func (s *Store) Received(ctx context.Context, job ackbox.Job) (core.Verdict, error) {
	if job.IDFromContent || !identifies(job) {
		return core.Started, nil // Complete refuses it
	}
	ctx, cancel := s.deadline(ctx)
	defer cancel()
	e, err := s.entered(ctx, s.pool, job)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return core.Started, nil
	case err != nil:
		return core.Busy, fmt.Errorf("outbox: look for %s in the inbox: %w", called(job), explain(err))
	}
	return e.verdict(job), nil
}

// entered is what the inbox has of a message.
type entered struct {
	round int
	dead  bool // it was given up, and not completed
	at    time.Time
}

func (s *Store) entered(ctx context.Context, c reader, job ackbox.Job) (e entered, err error) {
	var at dbTime
	err = c.QueryRowContext(ctx, s.sql.received, job.Queue, job.ID).Scan(&e.round, &e.dead, &at)
	e.at = at.Time
	return e, err
}

// verdict says what the entry means to a copy of its message. One of an earlier round
// than was given up is nothing to bury: the copy of the later one is.
func (e entered) verdict(job ackbox.Job) core.Verdict {
	switch now := round(job); {
	case e.dead && e.round < now:
		return core.Started
	case e.dead && e.round == now:
		return core.GivenUp
	}
	return core.Stale
}

// identifies reports whether a message can be told by its queue and id.
func identifies(job ackbox.Job) bool {
	return job.ID != "" && len(job.ID) <= maxMessageID && plain(job.ID) && plain(job.Queue)
}

// called names a message in an error.
func called(job ackbox.Job) string {
	return fmt.Sprintf("message %.100q of queue %.100s", job.ID, job.Queue)
}

// round is how many tries a message had before it was last requeued from a dead queue. It
// comes in a header, in which anything may stand.
func round(job ackbox.Job) int { return min(max(job.AttemptsBefore, 0), math.MaxInt32) }

// PurgeInbox deletes up to limit entries of the inbox, the oldest first, that are older
// than retention; limit is 1 to [MaxBatch]. It returns how many. A copy of such a message
// that comes later is taken for a new one. Safe to call from every instance at once.
func (s *Store) PurgeInbox(ctx context.Context, retention time.Duration, limit int) (int, error) {
	return s.sweepWith(ctx, "purge the inbox", "", s.sql.purgeInbox, nil, retention, limit)
}
