package outbox

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"
)

// DefaultPartitionsAhead is for how many days after today [Store.Migrate] and
// retry.Sweeper make partitions. Each costs every claim a little; a day without
// one costs a DELETE for each of its rows.
const DefaultPartitionsAhead = 3

const (
	// partitionLock bounds how long a change of partitions waits for its locks,
	// and so how long others may queue behind it.
	partitionLock = 250 * time.Millisecond
	// partitionWork bounds each statement, and each pause between two, of a
	// change that may hold those locks. The server keeps it: a frozen process
	// must not stop the table for everybody.
	partitionWork = time.Second
)

const day = 24 * time.Hour

// partition is a partition as the catalog describes it.
type partition struct {
	name      string // without its schema
	qualified string // as it stands in a statement
	// from and to bound its ids: from <= id < to, as text, which sorts as ids
	// do. They are empty for the default partition.
	from, to string
	// age is how many milliseconds ago the last of its days ended, by the
	// database's clock; negative where that has not happened or none is the last.
	age int64
}

// partitionsQuery lists the partitions of the table of that name.
const partitionsQuery = `SELECT c.relname, format('%I.%I', n.nspname, c.relname),
	coalesce(b.lower, ''), coalesce(b.upper, ''),
	CASE WHEN length(b.upper) = 36 THEN
		(extract(epoch FROM now()) * 1000)::bigint - ('x0000' || left(replace(b.upper, '-', ''), 12))::bit(64)::bigint
	ELSE -1 END
FROM pg_catalog.pg_inherits AS i
JOIN pg_catalog.pg_class AS c ON c.oid = i.inhrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
CROSS JOIN LATERAL (SELECT pg_get_expr(c.relpartbound, c.oid) AS bound) AS e
CROSS JOIN LATERAL (SELECT
	CASE WHEN e.bound LIKE 'FOR VALUES FROM (MINVALUE)%' THEN '0' ELSE substring(e.bound FROM 'FROM \(''([0-9a-f-]{36})''\)') END AS lower,
	CASE WHEN e.bound LIKE '%TO (MAXVALUE)' THEN 'g' ELSE substring(e.bound FROM 'TO \(''([0-9a-f-]{36})''\)') END AS upper
) AS b
WHERE i.inhparent = $1::regclass ORDER BY b.lower`

// partitions lists the table's partitions, oldest first.
func (s *Store) partitions(ctx context.Context, c conn) ([]partition, error) {
	rows, err := c.QueryContext(ctx, partitionsQuery, s.sql.table)
	if err != nil {
		return nil, fmt.Errorf("outbox: list the partitions of %s: %w", s.sql.table, err)
	}
	defer func() { _ = rows.Close() }() // its error is rows.Err's
	var all []partition
	for rows.Next() {
		var p partition
		if err := rows.Scan(&p.name, &p.qualified, &p.from, &p.to, &p.age); err != nil {
			return nil, fmt.Errorf("outbox: list the partitions of %s: %w", s.sql.table, err)
		}
		all = append(all, p)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("outbox: list the partitions of %s: %w", s.sql.table, err)
	}
	return all, nil
}

// partition names the partition of that suffix in a statement.
func (s *Store) partition(suffix string) string { return partitionOf(s.sql.table, suffix) }

func partitionOf(table, suffix string) string {
	return strings.TrimSuffix(table, `"`) + `_` + suffix + `"`
}

// checkPartitioned refuses a table that is not what Config.Partitioned says.
func (s *Store) checkPartitioned(ctx context.Context, c conn) error {
	if !s.d.schemas {
		return nil
	}
	var is bool
	err := c.QueryRowContext(ctx, `SELECT relkind = 'p' FROM pg_catalog.pg_class WHERE oid = $1::regclass`, s.sql.table).Scan(&is)
	switch {
	case err != nil:
		return fmt.Errorf("outbox: ask whether table %s is partitioned: %w", s.sql.table, err)
	case is && !s.cfg.Partitioned:
		return fmt.Errorf("outbox: table %s is partitioned, but Config.Partitioned is false: set it", s.sql.table)
	case !is && s.cfg.Partitioned:
		return fmt.Errorf("outbox: Config.Partitioned is true, but table %s is not partitioned: move it over as docs/partitions.md says, or leave it false", s.sql.table)
	}
	return nil
}

// MakePartitions makes the daily partitions (UTC) of today and the next ahead
// days, 0 to 365, where they are missing, and returns how many it made. Without
// Config.Partitioned it does nothing. It needs the rights of the table's owner and
// to create tables in its schema, unless none is missing.
//
// A day of which the default partition has rows already is left to it. Business
// INSERTs into the partitions of their days do not wait meanwhile. Claims may: for
// each partition 250 ms at most while this waits for its locks, after which it
// gives up with an error and the next call tries again, and a second at most while
// a default partition of less than 16 MiB is read, or the day has begun. A larger
// one is read before, up to 10 minutes, while nobody waits; a CHECK on it
// (ackbox_making_p…) then refuses jobs whose id, a UUID of version 7, is of the day
// that is being made, which is an hour away at least. What a process that died left
// of it is taken back by the next call, in any instance. It may be called from any
// number of instances at once.
func (s *Store) MakePartitions(ctx context.Context, ahead int) (int, error) {
	if ahead < 0 || ahead > 365 {
		return 0, fmt.Errorf("outbox: partitions for %d days ahead: want 0 to 365", ahead)
	}
	if !s.cfg.Partitioned {
		return 0, nil
	}
	if err := s.uncheck(ctx); err != nil {
		return 0, err
	}
	missing, err := s.missing(ctx, ahead)
	made := 0
	for _, first := range missing {
		if err != nil {
			break
		}
		var did bool
		did, err = s.makeDay(ctx, first)
		if did {
			made++
		}
	}
	return made, err
}

// makeDay makes one day's partition in the way that suits the default partition.
func (s *Store) makeDay(ctx context.Context, first time.Time) (bool, error) {
	needs, err := s.needsCheck(ctx, first)
	switch {
	case err != nil:
		return false, err
	case needs:
		return s.makeChecked(ctx, first)
	}
	return s.makePartition(ctx, first, "")
}

// missing returns the first moments of those days that have no partition yet
// and could have one.
func (s *Store) missing(ctx context.Context, ahead int) ([]time.Time, error) {
	ctx, cancel := s.deadline(ctx)
	defer cancel()
	today, err := s.today(ctx, s.pool)
	if err != nil {
		return nil, err
	}
	all, err := s.partitions(ctx, s.pool)
	if err != nil {
		return nil, err
	}
	var missing []time.Time
	for i := range ahead + 1 {
		first := today.Add(time.Duration(i) * day)
		if covered(all, first) {
			continue
		}
		var taken bool
		err := s.pool.QueryRowContext(ctx, `SELECT EXISTS (SELECT FROM `+s.partition("default")+` WHERE id >= $1::uuid AND id < $2::uuid)`,
			firstID(first), firstID(first.Add(day))).Scan(&taken)
		if err != nil {
			return nil, fmt.Errorf("outbox: look for rows in the default partition of %s: %w", s.sql.table, err)
		}
		if !taken {
			missing = append(missing, first)
		}
	}
	return missing, nil
}

// today returns the first moment of the database's day.
func (s *Store) today(ctx context.Context, c conn) (time.Time, error) {
	var ms int64
	if err := c.QueryRowContext(ctx, `SELECT (extract(epoch FROM now()) * 1000)::bigint`).Scan(&ms); err != nil {
		return time.Time{}, fmt.Errorf("outbox: ask for the database's time: %w", err)
	}
	return time.UnixMilli(ms).UTC().Truncate(day), nil
}

// firstID is the least UUIDv7 of a moment.
func firstID(t time.Time) string {
	ms := t.UnixMilli()
	return fmt.Sprintf("%08x-%04x-0000-0000-000000000000", ms>>16, ms&0xffff)
}

// covered reports whether a partition has ids of the day.
func covered(all []partition, first time.Time) bool {
	from, to := firstID(first), firstID(first.Add(day))
	for _, p := range all {
		if p.from < to && from < p.to {
			return true
		}
	}
	return false
}

// makePartition makes one day's partition, takes the CHECK of that name from the
// default partition, if there is one, and reports whether it did. It makes a table
// and attaches it: CREATE … PARTITION OF would lock out every INSERT.
func (s *Store) makePartition(ctx context.Context, first time.Time, check string) (bool, error) {
	made := false
	err := s.inTurn(ctx, func(ctx context.Context, tx *sql.Tx) error {
		all, err := s.partitions(ctx, tx)
		if err != nil || covered(all, first) {
			return err // or another instance was faster
		}
		made = true
		if err := s.attach(ctx, tx, first); err != nil || check == "" {
			return err
		}
		_, err = tx.ExecContext(ctx, `ALTER TABLE `+s.partition("default")+` DROP CONSTRAINT IF EXISTS `+check)
		return err
	})
	if err != nil {
		return false, s.making(first, err)
	}
	return made, nil
}

// making says what failed, but for a day of which the default partition has just
// got a row.
func (s *Store) making(first time.Time, err error) error {
	if err == nil || sqlState(err) == "23514" {
		return nil
	}
	return fmt.Errorf("outbox: make the partition of %s for %s: %w", s.sql.table, first.Format(time.DateOnly), err)
}

// attach makes and attaches a day's partition. Its storage parameters are those
// of the default partition, so that there is one place to tune them.
func (s *Store) attach(ctx context.Context, c conn, first time.Time) error {
	var with string
	err := c.QueryRowContext(ctx, `SELECT coalesce('WITH (' || array_to_string(reloptions, ', ') || ')', '')
FROM pg_catalog.pg_class WHERE oid = $1::regclass`, s.partition("default")).Scan(&with)
	if err != nil {
		return err
	}
	name := s.partition("p" + first.Format("20060102"))
	for _, step := range []string{
		`CREATE TABLE ` + name + ` (LIKE ` + s.sql.table + ` INCLUDING ALL) ` + with,
		`ALTER TABLE ` + s.sql.table + ` ATTACH PARTITION ` + name + ` FOR VALUES FROM ('` + firstID(first) + `') TO ('` + firstID(first.Add(day)) + `')`,
	} {
		if _, err := c.ExecContext(ctx, step); err != nil {
			return err
		}
	}
	return nil
}

// firstPartitions are made in the migration: nobody uses the table yet.
func (s *Store) firstPartitions(ctx context.Context, c conn) error {
	today, err := s.today(ctx, c)
	if err != nil {
		return err
	}
	for i := range DefaultPartitionsAhead + 1 {
		if err := s.attach(ctx, c, today.Add(time.Duration(i)*day)); err != nil {
			return fmt.Errorf("outbox: make the first partitions of %s: %w", s.sql.table, err)
		}
	}
	return nil
}

// inTurn runs change in a transaction beside which no other instance changes
// partitions of this table, and which waits for other locks briefly only.
func (s *Store) inTurn(ctx context.Context, change func(context.Context, *sql.Tx) error) error {
	ctx, cancel := s.deadline(ctx)
	defer cancel()
	// At READ COMMITTED every statement sees what was committed before its locks
	// were had.
	tx, err := s.pool.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after Commit it does nothing
	for _, step := range []struct{ query, arg string }{
		{`SELECT pg_advisory_xact_lock(hashtextextended('ackbox partitions ' || $1, 0))`, s.sql.table},
		// The planner must not read whole partitions while they are locked.
		{`SELECT set_config('enable_seqscan', 'off', true), set_config('lock_timeout', $1, true)`, milliText(partitionLock)},
		{`SELECT set_config('statement_timeout', $1, true), set_config('idle_in_transaction_session_timeout', $1, true)`, milliText(partitionWork)},
	} {
		if _, err := tx.ExecContext(ctx, step.query, step.arg); err != nil {
			return err
		}
	}
	if err := change(ctx, tx); err != nil {
		return err
	}
	return tx.Commit()
}

func milliText(d time.Duration) string { return fmt.Sprint(millis(d)) }
