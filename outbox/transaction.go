package outbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/ackbox/ackbox"
)

// transactionOf returns the connection that tx's transaction runs on, or
// [ErrNotInTransaction].
func transactionOf(tx *gorm.DB) (gorm.ConnPool, error) {
	switch {
	case tx != nil && tx.Config != nil && tx.DryRun:
		return nil, errors.New("outbox: the *gorm.DB is a DryRun session, of which nothing is written: a job would be written all the same")
	case tx == nil:
		return nil, fmt.Errorf("%w: it is nil", ErrNotInTransaction)
	case tx.Error != nil:
		return nil, fmt.Errorf("outbox: the *gorm.DB carries the error of an earlier call: %w", tx.Error)
	case tx.Statement == nil:
		return nil, ErrNotInTransaction
	}
	// What can commit is a transaction: *sql.Tx, or GORM's wrapper around it
	// when PrepareStmt is on. The wrapper would keep a prepared statement for
	// every number of rows, so the *sql.Tx inside is used.
	conn := tx.Statement.ConnPool
	if prepared, ok := conn.(*gorm.PreparedStmtTX); ok {
		if prepared == nil || prepared.Tx == nil {
			return nil, ErrNotInTransaction
		}
		conn = prepared.Tx
	}
	if plain, ok := conn.(*sql.Tx); ok && plain == nil {
		return nil, ErrNotInTransaction
	}
	if _, ok := conn.(gorm.TxCommitter); ok { // one of these, or a wrapper of somebody else's
		return conn, nil
	}
	return nil, ErrNotInTransaction
}

// ours refuses a transaction of another database than the Store's. One of the
// Store's own pool, as nearly all are, costs nothing. Of any other its ledger is
// asked for: a second pool may lead to the same database.
func (s *Store) ours(ctx context.Context, c gorm.ConnPool) error {
	if tx, ok := c.(*sql.Tx); ok && poolOf(tx) == reflect.ValueOf(s.pool.DB).Pointer() {
		return nil
	}
	own, err := s.Identity(ctx)
	if err != nil {
		return err
	}
	bounded, cancel := s.deadline(ctx)
	defer cancel()
	theirs, err := s.readIdentity(bounded, c)
	switch {
	case err != nil && noTable(err):
		return fmt.Errorf("%w: it has no table %s", ErrOtherDatabase, s.versionTable())
	case err != nil:
		return fmt.Errorf("outbox: ask the transaction's database for its ledger: %w", err)
	case theirs != own:
		return fmt.Errorf("%w: its table %s is of ledger %s, the Store's of ledger %s", ErrOtherDatabase, s.sql.table, theirs, own)
	}
	return nil
}

// poolOf returns the address of the *sql.DB that began tx, which database/sql keeps
// to itself, or 0 should it no longer be where GORM and we look for it.
func poolOf(tx *sql.Tx) uintptr {
	pool := reflect.ValueOf(tx).Elem().FieldByName("db")
	if !pool.IsValid() || pool.Type() != reflect.TypeFor[*sql.DB]() {
		return 0
	}
	return pool.Pointer()
}

// noTable reports whether err is either database's way to say that there is no such
// table.
func noTable(err error) bool {
	return sqlState(err) == "42P01" || strings.Contains(err.Error(), "no such table")
}

// Transaction runs fn in a transaction of db, like db.Transaction, and wakes
// the dispatcher of this process as soon as it has committed. It is the caller's
// transaction: ctx alone bounds it, the wait for a connection of the pool included.
// It is an optimisation only: with db.Transaction the dispatcher finds the jobs a few
// milliseconds later.
func (s *Store) Transaction(ctx context.Context, fn func(tx *gorm.DB) error) error {
	began := time.Now()
	if err := s.gorm.WithContext(ctx).Transaction(fn); err != nil {
		s.pool.clean(ctx, began, err)
		return err // fn's own, or the database's: it is the caller's transaction
	}
	signal(s.wake)
	return nil
}

// Complete finishes the job whose handler ctx is in, as part of tx: the job is
// done (dead, when called from FailAction) if and only if tx commits. Whatever
// else tx does therefore happens once, however often the job is delivered.
//
// It returns [ackbox.ErrSuperseded] if the job is finished already or was taken
// over by a later try: return that error from the transaction, so that it rolls
// back, and from the handler; the worker then drops the delivery without
// charging a try. It waits for the row if the dispatcher has it locked, for at
// most Config.StatementTimeout or until ctx ends; that deadline ends tx, too. When
// the timeout has passed the error is [ackbox.ErrBusy]: return it likewise, and
// the worker tries again without charging a try. In a transaction of REPEATABLE READ or above such a row is a serialization
// failure, like any other row that changed meanwhile.
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
	run, err := jobOf(ctx)
	if err != nil {
		return err
	}
	job := run.Job
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
	bounded, cancel := s.deadline(ctx)
	defer cancel()
	query, args := s.sql.complete, []any{job.ID, job.Attempt}
	if run.Cause != nil {
		cause := errorText(run.Cause.Error())
		query, args = s.sql.giveUp, []any{cause, cause, job.ID, job.Attempt}
	}
	n, err := affected(c.ExecContext(bounded, query, args...))
	switch {
	case err != nil && bounded.Err() != nil && ctx.Err() == nil:
		return fmt.Errorf("outbox: complete job %s: %w: %w", job.ID, ackbox.ErrBusy, err)
	case err != nil:
		return fmt.Errorf("outbox: complete job %s: %w", job.ID, err)
	case n == 0:
		return s.whyNot(ctx, c, job.ID)
	}
	return nil
}

// whyNot says why a job could not be completed.
func (s *Store) whyNot(ctx context.Context, c gorm.ConnPool, id string) error {
	ctx, cancel := s.deadline(ctx)
	defer cancel()
	var row standing
	var resend int
	err := c.QueryRowContext(ctx, s.sql.current, id).Scan(&row.attempt, &resend, &row.open)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return fmt.Errorf("outbox: complete job %s: %w", id, ackbox.ErrMissing)
	case err != nil:
		return fmt.Errorf("outbox: complete job %s: %w", id, err)
	}
	return ackbox.ErrSuperseded
}

// jobOf returns the ledger job whose handler ctx is in.
func jobOf(ctx context.Context) (ackbox.Run, error) {
	run, ok := ackbox.RunFrom(ctx)
	if !ok {
		return run, errors.New("outbox: the context is not a handler's: pass the ctx that Consume or FailAction was given")
	}
	if run.Job.Ledger == "" {
		return run, fmt.Errorf("outbox: message %s has no row: it was published to the queue by another service, so Complete cannot guard it", run.Job.ID)
	}
	return run, nil
}
