package outbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"gorm.io/gorm"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/mark"
)

// Complete finishes the job whose handler ctx is in, as part of tx: the job is
// done (dead, when called from FailAction) if and only if tx commits. Whatever
// else tx does therefore happens once, however often the job is delivered. Called
// again in the same transaction it does nothing more.
//
// A message without a row, which somebody else has published, is completed by an entry of
// its queue and id in the inbox, the table <table>_inbox; what is said here of a job's row
// holds for that. See "Messages without a row" in the package's documentation. One whose
// id says nothing is refused with [ErrNoIdentity].
//
// It returns [ackbox.ErrSuperseded] if another copy has finished the job, or a later
// try took over: return that error from the transaction, so that it rolls
// back, and from the handler; the worker then drops the delivery without
// charging a try. Where this very call of the handler has completed the job before, in
// another transaction that is committed, it returns [ErrCompleted].
//
// It waits for the row if the dispatcher has it locked, or another copy's transaction,
// for at most Config.WireTimeout and Config.StatementTimeout, which is how long a
// destination that gives no answer may hold it, or until ctx ends; that deadline ends tx,
// too. When it has passed the error
// is [ackbox.ErrBusy]: return it likewise, and the worker tries again without charging
// a try. The same error comes where the database would not wait so long (lock_timeout,
// statement_timeout), where it broke a deadlock and, in a transaction of REPEATABLE
// READ or above, where the row has changed meanwhile; it wraps the database's.
func Complete(ctx context.Context, tx *gorm.DB) error {
	s, err := storeOf(tx)
	if err != nil {
		return err
	}
	return s.Complete(ctx, tx)
}

// Complete is like the package's [Complete], for this Store's table.
func (s *Store) Complete(ctx context.Context, tx *gorm.DB) error {
	conn, err := transactionOf(tx)
	if err != nil {
		return err
	}
	return s.finishIn(ctx, conn)
}

// CompleteTx is like [Store.Complete] for code that uses database/sql.
func (s *Store) CompleteTx(ctx context.Context, tx *sql.Tx) error {
	if tx == nil {
		return fmt.Errorf("%w: the *sql.Tx is nil", ErrNotInTransaction)
	}
	return s.finishIn(ctx, tx)
}

// finishIn completes the job of ctx's handler within the handler's transaction.
func (s *Store) finishIn(ctx context.Context, c gorm.ConnPool) error {
	run, ok := ackbox.RunFrom(ctx)
	if !ok {
		return errors.New("outbox: the context is not a handler's: pass the ctx that Consume or FailAction was given")
	}
	job := run.Job
	if job.Ledger == "" {
		return s.receive(ctx, c, run)
	}
	switch {
	case !validID(job.ID):
		return fmt.Errorf("outbox: complete job %.100q: %w", job.ID, ackbox.ErrMissing)
	case !validCount(job.Attempt):
		return ackbox.ErrSuperseded // no row can be meant
	}
	if err := s.ours(ctx, c); err != nil {
		return err
	}
	own, err := s.identityIn(ctx, c)
	switch {
	case err != nil:
		return err
	case own != job.Ledger:
		return fmt.Errorf("outbox: job %s has its row in ledger %.100s, and this Store is of ledger %s: complete it with the Store that its worker has", job.ID, job.Ledger, own)
	}
	bounded, cancel := s.patience(ctx)
	defer cancel()
	query, args := s.sql.complete, []any{job.ID, job.Attempt}
	if run.Cause != nil {
		cause := errorText(run.Cause.Error())
		query, args = s.sql.giveUp, []any{cause, cause, job.ID, job.Attempt}
	}
	var at dbTime
	err = c.QueryRowContext(bounded, query, args...).Scan(&at)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return s.whyNot(ctx, c, job)
	case err != nil:
		return notCompleted(ctx, bounded, "job "+job.ID, err)
	}
	mark.From(ctx).Set(key(c), at.Time)
	return nil
}

// whyNot says why a job could not be completed.
func (s *Store) whyNot(ctx context.Context, c gorm.ConnPool, job ackbox.Job) error {
	bounded, cancel := s.deadline(ctx)
	defer cancel()
	var attempt int
	var open bool
	var finished dbTime
	err := c.QueryRowContext(bounded, s.sql.finishedAt, job.ID).Scan(&attempt, &open, &finished)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return fmt.Errorf("outbox: complete job %s: %w", job.ID, ackbox.ErrMissing)
	case err != nil:
		return notCompleted(ctx, bounded, "job "+job.ID, err)
	case open && attempt == job.Attempt: // it has changed between the two statements
		return fmt.Errorf("outbox: complete job %s: %w", job.ID, ackbox.ErrBusy)
	case open:
		return ackbox.ErrSuperseded
	}
	return finishedBefore(ctx, c, "job "+job.ID, finished.Time)
}
