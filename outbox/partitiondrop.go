package outbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"
)

// What one drop may move out of a partition while the table is locked.
const (
	maxMovedRows  = 1000
	maxMovedBytes = 16 << 20
)

// keepers selects what must outlive its partition: all that is not finished, all
// that is dead, and what finished within the retention. By the table's CHECK
// these six are all rows but those that Purge would delete, and each is what
// one partial index holds: this is read while the table is locked. Of what is
// finished it looks at the end of each queue's part, as the index begins with the
// queue. A new state needs a line here.
const keepers = `SELECT {columns} FROM {partition} WHERE state = 'pending'
UNION ALL SELECT {columns} FROM {partition} WHERE state = 'nacked'
UNION ALL SELECT {columns} FROM {partition} WHERE state = 'refused'
UNION ALL SELECT {columns} FROM {partition} WHERE state = 'sent' AND finished_at IS NULL
UNION ALL SELECT {columns} FROM {partition} WHERE state = 'dead'
UNION ALL SELECT {columns} FROM {partition} WHERE finished_at IS NOT NULL AND state <> 'dead'
	AND queue = ANY (ARRAY(WITH RECURSIVE hop AS (
		(SELECT queue FROM {partition} WHERE finished_at IS NOT NULL AND state <> 'dead' ORDER BY queue, finished_at LIMIT 1)
		UNION ALL
		SELECT next.queue FROM hop CROSS JOIN LATERAL (SELECT queue FROM {partition}
			WHERE finished_at IS NOT NULL AND state <> 'dead' AND queue > hop.queue ORDER BY queue, finished_at LIMIT 1) AS next
	) SELECT queue FROM hop))
	AND finished_at >= now() - $1::bigint * interval '1 millisecond'`

// keptError says why a partition stays.
type keptError struct{ reason string }

func (e keptError) Error() string { return e.reason }

// DropPartitions drops the partitions whose last day ended more than retention
// ago, and returns the names of those that it dropped and, with the reason, of
// those that it had to keep; the next call tries these again. Without
// Config.Partitioned it does nothing. It needs the rights of the table's owner,
// unless there is nothing to drop.
//
// Only rows are dropped that Purge with this retention would delete. Others
// (unfinished, dead, or finished since) move to the default partition in the
// same transaction, in which everybody else is locked out of the table. That is
// done for up to 1,000 rows and 16 MiB of a partition; one with more is kept.
//
// Everybody who uses the table may wait meanwhile: for each partition 250 ms at
// most while this waits for its locks (then the partition is kept), and as long
// as the move takes: milliseconds when it is small, and never more than a second
// for each of its statements. It may be called from any number of instances at
// once. An error about one partition does not keep others from being dropped; what
// was dropped is returned with it.
func (s *Store) DropPartitions(ctx context.Context, retention time.Duration) (dropped []string, kept map[string]string, err error) {
	if retention < 0 {
		return nil, nil, fmt.Errorf("outbox: retention of partitions is %v: want 0 or more", retention)
	}
	if !s.cfg.Partitioned {
		return nil, nil, nil
	}
	all, err := s.expired(ctx, retention)
	if err != nil {
		return nil, nil, err
	}
	kept = make(map[string]string)
	var errs []error
	for _, p := range all {
		var because keptError
		err := s.dropPartition(ctx, p, retention)
		switch {
		case err == nil:
			dropped = append(dropped, p.name)
		case errors.As(err, &because):
			kept[p.name] = because.reason
		case sqlState(err) == "42P01": // another instance was faster
		case sqlState(err) == "55P03": // the lock's timeout
			kept[p.name] = "its locks were not to be had in " + partitionLock.String()
		default:
			errs = append(errs, fmt.Errorf("outbox: drop partition %s: %w", p.qualified, err))
		}
	}
	return dropped, kept, errors.Join(errs...)
}

// expired lists the partitions whose last day ended more than retention ago.
func (s *Store) expired(ctx context.Context, retention time.Duration) ([]partition, error) {
	ctx, cancel := s.deadline(ctx)
	defer cancel()
	all, err := s.partitions(ctx, s.pool)
	if err != nil {
		return nil, err
	}
	var expired []partition
	for _, p := range all {
		if p.age > millis(retention) {
			expired = append(expired, p)
		}
	}
	return expired, nil
}

// dropPartition drops one partition or says by a keptError why not.
func (s *Store) dropPartition(ctx context.Context, p partition, retention time.Duration) error {
	return s.inTurn(ctx, func(ctx context.Context, tx *sql.Tx) error {
		columns, err := s.columns(ctx, tx)
		if err != nil {
			return err
		}
		names := strings.NewReplacer("{columns}", columns, "{partition}", p.qualified, "{table}", s.sql.table)
		keep, move := names.Replace(keepers), names.Replace(`INSERT INTO {table} ({columns}) `+keepers)
		// Once without the lock: what has much to keep is found so.
		if err := fewKept(ctx, tx, keep, retention); err != nil {
			return err
		}
		// The parent first, as in everybody's statements: they would deadlock with
		// this otherwise. From here on nobody has a row of the partition locked, or
		// changed or inserted and not committed.
		for _, name := range []string{s.sql.table, p.qualified} {
			if _, err := tx.ExecContext(ctx, `LOCK TABLE ONLY `+name+` IN ACCESS EXCLUSIVE MODE`); err != nil {
				return err
			}
		}
		if err := fewKept(ctx, tx, keep, retention); err != nil {
			return err
		}
		// Detached, its ids are the default partition's.
		if _, err := tx.ExecContext(ctx, `ALTER TABLE `+s.sql.table+` DETACH PARTITION `+p.qualified); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, move, millis(retention)); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `DROP TABLE `+p.qualified)
		return err
	})
}

// columns lists the table's columns, whatever migrations have added.
func (s *Store) columns(ctx context.Context, c conn) (columns string, err error) {
	err = c.QueryRowContext(ctx, `SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum)
FROM pg_catalog.pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped`, s.sql.table).Scan(&columns)
	return columns, err
}

// fewKept returns a keptError if there is too much to move.
func fewKept(ctx context.Context, c conn, keep string, retention time.Duration) error {
	var rows, bytes int64
	err := c.QueryRowContext(ctx, fmt.Sprintf(`SELECT count(*), coalesce(sum(
	pg_column_size(k.payload) + coalesce(pg_column_size(k.headers), 0) + coalesce(pg_column_size(k.history), 0)), 0)
FROM (%s LIMIT %d) AS k`, keep, maxMovedRows+1), millis(retention)).Scan(&rows, &bytes)
	switch {
	case err != nil:
		return err
	case rows > maxMovedRows:
		return keptError{fmt.Sprintf("more than %d of its rows are unfinished, dead or within the retention", maxMovedRows)}
	case bytes > maxMovedBytes:
		return keptError{fmt.Sprintf("its rows that are unfinished, dead or within the retention have %d bytes, more than %d", bytes, maxMovedBytes)}
	}
	return nil
}
