package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

// riverApp is an application that uses River, with the same business table.
type riverApp struct {
	pool   *pgxpool.Pool
	client *river.Client[pgx.Tx]
}

// riverWorker does with each job what our handling does.
type riverWorker struct {
	river.WorkerDefaults[Order]
	handle handling
}

// Work implements river.Worker.
func (w *riverWorker) Work(_ context.Context, job *river.Job[Order]) error {
	w.handle(job.Args)
	return nil
}

// openRiver opens a riverApp on a database that has its tables already or, with
// migrate, is empty. Its client works jobs once started, or only inserts them if h
// is nil.
func openRiver(ctx context.Context, database string, migrate bool, config *river.Config, h handling) (*riverApp, error) {
	settings, err := pgxpool.ParseConfig(database)
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	settings.MaxConns = poolSize
	pool, err := pgxpool.NewWithConfig(ctx, settings)
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	r := &riverApp{pool: pool}
	if migrate {
		if err := r.migrate(ctx); err != nil {
			r.close()
			return nil, err
		}
	}
	if h == nil {
		config.Queues = nil // it only inserts; FetchCooldown also spaces its notifications
	} else {
		config.Workers = river.NewWorkers()
		river.AddWorker(config.Workers, &riverWorker{handle: h})
	}
	if r.client, err = river.NewClient(riverpgxv5.New(pool), config); err != nil {
		r.close()
		return nil, fmt.Errorf("make a River client: %w", err)
	}
	return r, nil
}

func (r *riverApp) migrate(ctx context.Context) error {
	m, err := rivermigrate.New(riverpgxv5.New(r.pool), &rivermigrate.Config{Logger: quiet})
	if err != nil {
		return fmt.Errorf("migrate River's tables: %w", err)
	}
	if _, err := m.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return fmt.Errorf("migrate River's tables: %w", err)
	}
	if _, err := r.pool.Exec(ctx, businessTables); err != nil {
		return fmt.Errorf("make the business tables: %w", err)
	}
	return nil
}

func (r *riverApp) close() { r.pool.Close() }

// riverStop bounds the wait for a client to stop.
const riverStop = 15 * time.Second

// stop ends the client's work.
func (r *riverApp) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), riverStop)
	defer cancel()
	if err := r.client.Stop(ctx); err != nil {
		return fmt.Errorf("stop River: %w", err)
	}
	return nil
}

// backlog commits n jobs in the way that River is fastest at, and settles.
func (r *riverApp) backlog(ctx context.Context, env *Env, n int) error {
	for first := 0; first < n; first += chunk {
		if _, err := r.client.InsertManyFast(ctx, riverOrders(first, min(chunk, n-first))); err != nil {
			return fmt.Errorf("prepare a backlog: %w", err)
		}
	}
	return env.settle(ctx)
}

func riverOrders(first, n int) []river.InsertManyParams {
	params := make([]river.InsertManyParams, n)
	for i := range params {
		params[i].Args = newOrder(int64(first + i))
	}
	return params
}

// drainRiver measures River working off a backlog, as drain does ours.
func drainRiver(config func() *river.Config, size func(sizes) int) side {
	return func(ctx context.Context, env *Env) (f figures, err error) {
		n := size(env.sizes)
		var handled atomic.Int64
		r, err := openRiver(ctx, env.Database, true, config(), func(Order) { handled.Add(1) })
		if err != nil {
			return nil, err
		}
		defer r.close()
		if err := r.backlog(ctx, env, n); err != nil {
			return nil, err
		}
		return drained(ctx, env, n, func(over func() error) (err error) {
			if err := r.client.Start(ctx); err != nil {
				return fmt.Errorf("start River: %w", err)
			}
			defer func() { err = errors.Join(err, r.stop(ctx)) }()
			if err := await(ctx, func() (bool, error) { return handled.Load() >= int64(n), nil }); err != nil {
				return err
			}
			if err := env.awaitDatabase(ctx, `SELECT NOT EXISTS (SELECT FROM river_job WHERE finalized_at IS NULL)`); err != nil {
				return err
			}
			return over()
		}, `SELECT count(*) FROM river_job WHERE state = 'completed'`)
	}
}
