package main

import (
	"context"
	"fmt"
	"time"

	"github.com/ackbox/ackbox/outbox"
)

// makePartitioned makes a jobs table with daily partitions, and one of oldDay,
// which is over: the store makes none of the past.
func makePartitioned(ctx context.Context, env *Env, a *app) (*outbox.Store, error) {
	store, err := outbox.NewStore(a.db, outbox.Config{Table: partitionedTable, Partitioned: true})
	if err != nil {
		return nil, err
	}
	if err := store.Migrate(ctx); err != nil {
		return nil, err
	}
	// Its storage parameters are the default partition's, as the store's are.
	var options string
	err = env.db.QueryRow(ctx, `SELECT coalesce('WITH (' || array_to_string(reloptions, ', ') || ')', '')
FROM pg_class WHERE oid = $1::text::regclass`, partitionedTable+"_default").Scan(&options)
	if err != nil {
		return nil, fmt.Errorf("read the parameters of a partition: %w", err)
	}
	first := midnight(-oldDay)
	_, err = env.db.Exec(ctx, fmt.Sprintf("CREATE TABLE %s PARTITION OF %s FOR VALUES FROM ('%s') TO ('%s') %s",
		partitionedTable+first.Format("_p20060102"), partitionedTable, firstID(first), firstID(midnight(1-oldDay)), options))
	if err != nil {
		return nil, fmt.Errorf("make a partition of the past: %w", err)
	}
	return store, nil
}

// firstID is the least UUID version 7 of a moment.
func firstID(t time.Time) string {
	return fmt.Sprintf("%012x", t.UnixMilli()) + "00000000000000000000"
}

// betweenTries is how long after a drop that found the table in use comes the
// next one.
const betweenTries = 250 * time.Millisecond

// dropPatience bounds how long a drop is tried.
const dropPatience = time.Minute

// dropPartition drops the partition of oldDay and returns how often it tried.
func dropPartition(ctx context.Context, _ *Env, store *outbox.Store) (tries int, err error) {
	ctx, cancel := context.WithTimeout(ctx, dropPatience)
	defer cancel()
	for tries = 1; ; tries++ {
		dropped, kept, err := store.DropPartitions(ctx, keepFinished)
		switch {
		case err != nil:
			return tries, err
		case len(dropped) > 0:
			return tries, nil
		case !pause(ctx, betweenTries):
			return tries, fmt.Errorf("drop a partition: %v are kept: %w", kept, context.Cause(ctx))
		}
	}
}
