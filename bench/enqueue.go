package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverdatabasesql"
	"golang.org/x/sync/errgroup"
	"gorm.io/gorm"

	"github.com/ackbox/ackbox/outbox"
)

// enqueueCases measure what a job costs the transaction that it is part of.
func enqueueCases() []Case {
	return []Case{{
		name:  "enqueue_vs_plain",
		rows:  []row{{name: "enqueue_vs_plain", figure: "rate", unit: "tx/s", ratio: 0.85}},
		ours:  commits(enqueueGORM),
		other: commits(plainGORM),
	}, {
		name:  "enqueue_vs_river",
		rows:  []row{{name: "enqueue_vs_river", figure: "rate", unit: "tx/s", ratio: 1.5}},
		ours:  commits(enqueueSQL),
		other: commitsRiverSQL,
	}, {
		name:  "enqueue_vs_river_pgx",
		rows:  []row{{name: "enqueue_vs_river_pgx", figure: "rate", unit: "tx/s"}},
		ours:  commits(enqueueSQL),
		other: commitsRiver,
	}, {
		name:  "enqueue_gorm_vs_river",
		rows:  []row{{name: "enqueue_gorm_vs_river", figure: "rate", unit: "tx/s"}},
		ours:  commits(enqueueGORM),
		other: commitsRiver,
		extra: true,
	}, {
		name:  "bulk_enqueue_vs_river",
		rows:  []row{{name: "bulk_enqueue_vs_river", figure: "rate", unit: "jobs/s", ratio: 0.8}},
		ours:  bulk,
		other: bulkRiver,
	}}
}

// transaction commits one business transaction.
type transaction func(ctx context.Context, a *app, o Order) error

// enqueueGORM inserts an order and enqueues a job, with GORM.
func enqueueGORM(ctx context.Context, a *app, o Order) error {
	return a.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		if err := tx.Create(rowOf(o)).Error; err != nil {
			return err
		}
		return outbox.Enqueue(ctx, tx, o)
	})
}

// plainGORM inserts an order and a plain second row instead of a job: the
// encoded order, so that both write about the same.
func plainGORM(ctx context.Context, a *app, o Order) error {
	return a.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		if err := tx.Create(rowOf(o)).Error; err != nil {
			return err
		}
		payload, err := encoded(o)
		if err != nil {
			return err
		}
		return tx.Create(&noteRow{Kind: o.Kind(), Payload: payload}).Error
	})
}

// enqueueSQL is enqueueGORM without GORM, on a *sql.Tx.
func enqueueSQL(ctx context.Context, a *app, o Order) error {
	return withOrder(ctx, a.pool, o, func(tx *sql.Tx) error {
		return a.store.EnqueueTx(ctx, tx, outbox.Item{Args: o})
	})
}

// withOrder inserts an order, and what insert does, in a transaction of
// database/sql.
func withOrder(ctx context.Context, pool *sql.DB, o Order, insert func(*sql.Tx) error) error {
	tx, err := pool.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after Commit it does nothing
	var id int64
	if err := tx.QueryRowContext(ctx, insertOrder, o.params()...).Scan(&id); err != nil {
		return err
	}
	if err := insert(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// enqueueRiver inserts an order and a job in a transaction of pgx, and returns
// when that was committed.
func enqueueRiver(ctx context.Context, r *riverApp, o Order) error {
	return pgx.BeginFunc(ctx, r.pool, func(tx pgx.Tx) error {
		var id int64
		if err := tx.QueryRow(ctx, insertOrder, o.params()...).Scan(&id); err != nil {
			return err
		}
		_, err := r.client.InsertTx(ctx, tx, o, nil)
		return err
	})
}

// commits measures how many transactions writers commit.
func commits(commit transaction) side {
	return func(ctx context.Context, env *Env) (f figures, err error) {
		a, err := openOurs(ctx, env.Database, env.AMQP, oursDefault())
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, a.close()) }()
		return write(ctx, env, func(ctx context.Context, o Order) error { return commit(ctx, a, o) })
	}
}

// commitsRiver is commits for River.
func commitsRiver(ctx context.Context, env *Env) (figures, error) {
	r, err := openRiver(ctx, env.Database, true, riverDefault(), nil)
	if err != nil {
		return nil, err
	}
	defer r.close()
	return write(ctx, env, func(ctx context.Context, o Order) error { return enqueueRiver(ctx, r, o) })
}

// commitsRiverSQL is commitsRiver with River's driver for database/sql, which is
// what an application on GORM or database/sql has to use: the very transaction
// of enqueueSQL.
func commitsRiverSQL(ctx context.Context, env *Env) (f figures, err error) {
	r, err := openRiver(ctx, env.Database, true, riverDefault(), nil) // makes the tables
	if err != nil {
		return nil, err
	}
	r.close()
	pool, err := sql.Open("pgx", env.Database)
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	defer func() { err = errors.Join(err, pool.Close()) }()
	pool.SetMaxOpenConns(poolSize)
	pool.SetMaxIdleConns(poolSize)
	client, err := river.NewClient(riverdatabasesql.New(pool), &river.Config{Logger: quiet})
	if err != nil {
		return nil, fmt.Errorf("make a River client: %w", err)
	}
	return write(ctx, env, func(ctx context.Context, o Order) error {
		return withOrder(ctx, pool, o, func(tx *sql.Tx) error {
			_, err := client.InsertTx(ctx, tx, o, nil)
			return err
		})
	})
}

// write has transactions committed by several writers, as fast as they can,
// after some that are not measured: connections are opened and statements
// prepared by then. It checks that every one of them left an order.
func write(ctx context.Context, env *Env, commit func(context.Context, Order) error) (figures, error) {
	var number atomic.Int64
	writeFor := func(d time.Duration) (int64, error) {
		before, until := number.Load(), time.Now().Add(d)
		group, ctx := errgroup.WithContext(ctx)
		for range writers {
			group.Go(func() error {
				for time.Now().Before(until) {
					if err := commit(ctx, newOrder(number.Add(1))); err != nil {
						return fmt.Errorf("commit a transaction: %w", err)
					}
				}
				return nil
			})
		}
		err := group.Wait()
		return number.Load() - before, err
	}
	if _, err := writeFor(env.sizes.enqueue / 5); err != nil {
		return nil, err
	}
	var n int64
	elapsed, err := env.timed(func() (err error) {
		n, err = writeFor(env.sizes.enqueue)
		return err
	})
	if err != nil {
		return nil, err
	}
	return figures{"rate": float64(n) / elapsed.Seconds()}, env.expect(ctx, int(number.Load()), `SELECT count(*) FROM orders`)
}

// bulk measures EnqueueAll of many jobs in one transaction, several in a row,
// after a small one that prepares the statements.
func bulk(ctx context.Context, env *Env) (f figures, err error) {
	a, err := openOurs(ctx, env.Database, env.AMQP, oursDefault())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, a.close()) }()
	return insertBulks(ctx, env, func(ctx context.Context, first, n int) error {
		return a.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
			return a.store.EnqueueAll(ctx, tx, orders(first, n)...)
		})
	}, `SELECT count(*) FROM ackbox_jobs`)
}

// bulkRiver measures InsertManyFast (COPY) of as many, in a transaction each.
func bulkRiver(ctx context.Context, env *Env) (figures, error) {
	r, err := openRiver(ctx, env.Database, true, riverDefault(), nil)
	if err != nil {
		return nil, err
	}
	defer r.close()
	return insertBulks(ctx, env, func(ctx context.Context, first, n int) error {
		_, err := r.client.InsertManyFast(ctx, riverOrders(first, n))
		return err
	}, `SELECT count(*) FROM river_job`)
}

func insertBulks(ctx context.Context, env *Env, insert func(ctx context.Context, first, n int) error, count string) (figures, error) {
	const warm = 255 // one statement of each size
	if err := insert(ctx, 0, warm); err != nil {
		return nil, err
	}
	n := env.sizes.bulk
	elapsed, err := env.timed(func() error {
		for i := range env.sizes.bulks {
			if err := insert(ctx, warm+i*n, n); err != nil {
				return fmt.Errorf("insert %d jobs: %w", n, err)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	all := n * env.sizes.bulks
	return figures{"rate": float64(all) / elapsed.Seconds()}, env.expect(ctx, warm+all, count)
}
