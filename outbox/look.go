package outbox

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// lookTimeout bounds each statement by which people look at the table.
const lookTimeout = 2 * time.Second

// lookSession bounds what is looked at, and keeps plans to the index whose order they are
// written for, whatever statistics say: of an index they read as much as is shown, where
// a bitmap or a sort would collect all of it first. A plan made for any values would not
// know the LIMIT. The last two are like claimSession's.
const lookSession = `SELECT set_config('statement_timeout', '2000', true),
	set_config('enable_bitmapscan', 'off', true), set_config('enable_seqscan', 'off', true),
	set_config('jit', 'off', true), set_config('plan_cache_mode', 'force_custom_plan', true),
	set_config('bytea_output', 'hex', true), set_config('DateStyle', 'ISO', true)`

// look runs fn in a transaction that only reads, each of whose statements is bounded by
// lookTimeout. What takes longer is ErrSlow.
func (s *Store) look(ctx context.Context, what string, fn func(context.Context, conn) error) error {
	began := time.Now()
	ctx, cancel := s.deadline(ctx)
	defer cancel()
	err := s.lookIn(ctx, fn)
	switch {
	case err == nil:
		return nil
	case timedOut(err) && time.Since(began) >= min(lookTimeout, s.cfg.StatementTimeout):
		return fmt.Errorf("outbox: %s: %w: %w", what, ErrSlow, err)
	}
	return fmt.Errorf("outbox: %s: %w", what, explain(err))
}

func (s *Store) lookIn(ctx context.Context, fn func(context.Context, conn) error) error {
	if !s.d.schemas {
		return fn(ctx, s.pool)
	}
	tx, err := s.pool.BeginTx(ctx, &sql.TxOptions{ReadOnly: true, Isolation: sql.LevelReadCommitted})
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // it has changed nothing
	if _, err := tx.ExecContext(ctx, lookSession); err != nil {
		return err
	}
	return fn(ctx, tx)
}

// scanEach calls scan for each row.
func scanEach(rows *sql.Rows, err error, scan func(*sql.Rows) error) error {
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // its error is rows.Err's
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
