package outbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// ATTACH reads the whole default partition, under a lock that keeps everybody from
// it, to see that it has no row of the new partition's day. Once that takes longer
// than partitionWork a partition could never be made again. A validated CHECK that
// says so spares it the reading, and validating one keeps nobody waiting. As long as
// the CHECK is there an INSERT of that day is refused, so it is only put on days that
// are some time away.
const (
	// checkedPages is from how many pages of 8 KiB on the default partition is
	// checked first: reading less takes milliseconds.
	checkedPages = 2048
	// checkAhead is how far away a day must be to be checked for: many times the
	// interval in which the next call takes back what a dead one has left.
	checkAhead = time.Hour
	// checkWork bounds the validation, which reads the default partition at leisure.
	checkWork = 10 * time.Minute
	// checkLock bounds its wait for vacuums and other such changes, behind which no
	// business statement queues.
	checkLock = 10 * time.Second
	// checkPrefix begins the names of these constraints, which end with the day.
	checkPrefix = "ackbox_making_p"
)

// checking is held by whoever validates, and by nobody for longer.
const checking = `SELECT pg_try_advisory_xact_lock(hashtextextended('ackbox partition check ' || $1, 0))`

// needsCheck reports whether the day's partition has to be made with a CHECK first.
func (s *Store) needsCheck(ctx context.Context, first time.Time) (bool, error) {
	ctx, cancel := s.deadline(ctx)
	defer cancel()
	var needs bool
	err := s.pool.QueryRowContext(ctx, `SELECT pg_relation_size($1::regclass) >= $2::bigint * current_setting('block_size')::bigint
	AND extract(epoch FROM now()) < $3::bigint`, s.partition("default"), checkedPages, first.Add(-checkAhead).Unix()).Scan(&needs)
	if err != nil {
		return false, fmt.Errorf("outbox: ask for the size of the default partition of %s: %w", s.sql.table, err)
	}
	return needs, nil
}

// makeChecked makes one day's partition behind a CHECK, and reports whether it did.
// The CHECK goes with what it was for, or is taken back.
func (s *Store) makeChecked(ctx context.Context, first time.Time) (made bool, err error) {
	name := checkPrefix + first.Format("20060102")
	defer func() {
		if !made {
			err = errors.Join(err, s.uncheck(context.WithoutCancel(ctx)))
		}
	}()
	free := false
	err = s.inTurn(ctx, func(ctx context.Context, tx *sql.Tx) error {
		if err := tx.QueryRowContext(ctx, checking, s.sql.table).Scan(&free); err != nil || !free {
			return err
		}
		_, err := tx.ExecContext(ctx, fmt.Sprintf(`ALTER TABLE %s ADD CONSTRAINT %s CHECK (id < '%s'::uuid OR id >= '%s'::uuid) NOT VALID`,
			s.partition("default"), name, firstID(first), firstID(first.Add(day))))
		return err
	})
	if err == nil && free {
		free, err = s.validate(ctx, name)
	}
	if err != nil || !free {
		return false, s.making(first, err)
	}
	return s.makePartition(ctx, first, name)
}

// validate reads the default partition to see that it keeps to the CHECK of that
// name. It reports false if another instance is doing that.
func (s *Store) validate(ctx context.Context, name string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, checkWork)
	defer cancel()
	conn, err := s.connection(ctx)
	if err != nil {
		return false, err
	}
	defer func() { _ = conn.Close() }() // it only goes back to the pool
	tx, err := conn.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
	if err != nil {
		return false, err
	}
	defer func() { _ = tx.Rollback() }() // after Commit it does nothing
	var free bool
	if err := tx.QueryRowContext(ctx, checking, s.sql.table).Scan(&free); err != nil || !free {
		return false, err
	}
	if _, err := tx.ExecContext(ctx, `SELECT set_config('lock_timeout', $1, true), set_config('statement_timeout', $2, true),
	set_config('idle_in_transaction_session_timeout', $3, true)`, milliText(checkLock), milliText(checkWork), milliText(partitionWork)); err != nil {
		return false, err
	}
	if _, err := tx.ExecContext(ctx, `ALTER TABLE `+s.partition("default")+` VALIDATE CONSTRAINT `+name); err != nil {
		return false, err
	}
	return true, tx.Commit()
}

// uncheckTries is how often it is tried to take a CHECK back.
const uncheckTries = 20

// uncheck takes back the CHECKs that makeChecked has left, here or in a process that
// has died, unless somebody is validating one.
func (s *Store) uncheck(ctx context.Context) error {
	var err error
	for range uncheckTries {
		err = s.uncheckOnce(ctx)
		if sqlState(err) != "55P03" { // the lock could not be had in partitionLock
			break
		}
	}
	if err != nil {
		return fmt.Errorf("outbox: take back a CHECK of the default partition of %s, which refuses jobs of a day to come: %w", s.sql.table, err)
	}
	return nil
}

func (s *Store) uncheckOnce(ctx context.Context) error {
	bounded, cancel := s.deadline(ctx)
	defer cancel()
	left, err := s.checks(bounded, s.pool)
	if err != nil || len(left) == 0 {
		return err
	}
	return s.inTurn(ctx, func(ctx context.Context, tx *sql.Tx) error {
		var free bool
		if err := tx.QueryRowContext(ctx, checking, s.sql.table).Scan(&free); err != nil || !free {
			return err
		}
		for _, name := range left {
			if _, err := tx.ExecContext(ctx, `ALTER TABLE `+s.partition("default")+` DROP CONSTRAINT IF EXISTS `+name); err != nil {
				return err
			}
		}
		return nil
	})
}

// checks lists the CHECKs of makeChecked that are on the default partition.
func (s *Store) checks(ctx context.Context, c conn) ([]string, error) {
	rows, err := c.QueryContext(ctx, `SELECT quote_ident(conname) FROM pg_catalog.pg_constraint
WHERE conrelid = $1::regclass AND contype = 'c' AND starts_with(conname, $2)`, s.partition("default"), checkPrefix)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // its error is rows.Err's
	var names []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, rows.Err()
}
