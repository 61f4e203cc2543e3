package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/ackbox/ackbox/outbox"
)

// partition is the name of a day's partition of the partitioned jobs table.
func partition(day int) string {
	return partitionedTable + midnight(day).Format("_p20060102")
}

// attach is the statement that makes a day's partition. A table is partitioned
// by its ids, which begin with the time.
func attach(day int, options string) string {
	return fmt.Sprintf("CREATE TABLE %s PARTITION OF %s FOR VALUES FROM ('%s') TO ('%s') %s",
		partition(day), partitionedTable, firstID(midnight(day)), firstID(midnight(day+1)), options)
}

// firstID is the least UUID version 7 of a moment.
func firstID(t time.Time) string {
	return fmt.Sprintf("%012x", t.UnixMilli()) + "00000000000000000000"
}

// storageOptions selects a table's storage parameters as a clause.
const storageOptions = `SELECT coalesce('WITH (' || array_to_string(reloptions, ', ') || ')', '') FROM pg_class WHERE oid = $1::text::regclass`

// makePartitioned makes a jobs table with partitions from oldDay until tomorrow,
// and a default one.
func makePartitioned(ctx context.Context, env *Env, a *app) (*outbox.Store, error) {
	var options string
	if err := env.db.QueryRow(ctx, storageOptions, outbox.DefaultTable).Scan(&options); err != nil {
		return nil, fmt.Errorf("make a partitioned table: %w", err)
	}
	statements := []string{
		"CREATE TABLE " + partitionedTable + " (LIKE " + outbox.DefaultTable + " INCLUDING ALL) PARTITION BY RANGE (id)",
		"CREATE TABLE " + partitionedTable + "_default PARTITION OF " + partitionedTable + " DEFAULT " + options,
	}
	for day := -oldDay; day <= 1; day++ {
		statements = append(statements, attach(day, options))
	}
	for _, statement := range statements {
		if _, err := env.db.Exec(ctx, statement); err != nil {
			return nil, fmt.Errorf("make a partitioned table: %w", err)
		}
	}
	return outbox.NewStore(a.db, outbox.Config{Table: partitionedTable})
}

// dropLock bounds how long a drop waits for its locks, and so how long all that
// uses the table queues behind it.
const dropLock = 250 * time.Millisecond

// dropPatience bounds how long a drop is tried.
const dropPatience = time.Minute

// dropPartition drops the partition of oldDay and returns how often it tried.
func dropPartition(ctx context.Context, env *Env, _ *outbox.Store) (tries int, err error) {
	ctx, cancel := context.WithTimeout(ctx, dropPatience)
	defer cancel()
	for tries = 1; ; tries++ {
		err = pgx.BeginFunc(ctx, env.db, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, fmt.Sprintf("SET LOCAL lock_timeout = %d", dropLock.Milliseconds())); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, "DROP TABLE "+partition(-oldDay))
			return err
		})
		var failed *pgconn.PgError
		switch {
		case err == nil:
			return tries, nil
		case !errors.As(err, &failed) || failed.Code != lockNotAvailable || !pause(ctx, dropLock):
			return tries, fmt.Errorf("drop a partition: %w", err)
		}
	}
}

// lockNotAvailable is PostgreSQL's code of a lock_timeout.
const lockNotAvailable = "55P03"
