package outbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"reflect"
	"time"

	"gorm.io/gorm"
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
