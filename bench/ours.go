package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync/atomic"

	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/ackbox/ackbox/dispatcher"
	"github.com/ackbox/ackbox/handler"
	"github.com/ackbox/ackbox/outbox"
	"github.com/ackbox/ackbox/rabbitmq"
	"github.com/ackbox/ackbox/worker"
)

// app is an application that uses Ackbox, with a business table beside it.
type app struct {
	db     *gorm.DB
	pool   *sql.DB
	store  *outbox.Store
	broker *rabbitmq.Broker
	set    system
}

// openOurs opens an app on a database and vhost, and makes its tables.
func openOurs(ctx context.Context, database, amqp string, set system) (*app, error) {
	db, err := gorm.Open(postgres.Open(database), &gorm.Config{Logger: logger.Discard})
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	pool, err := db.DB()
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	pool.SetMaxOpenConns(poolSize)
	pool.SetMaxIdleConns(poolSize)
	a := &app{db: db, pool: pool, set: set}
	if err := a.open(ctx, amqp); err != nil {
		return nil, errors.Join(err, a.close())
	}
	return a, nil
}

func (a *app) open(ctx context.Context, amqp string) (err error) {
	if a.store, err = outbox.NewStore(a.db, outbox.Config{Queues: a.set.queues}); err != nil {
		return err
	}
	if err := a.store.Migrate(ctx); err != nil {
		return err
	}
	if _, err := a.pool.ExecContext(ctx, businessTables); err != nil {
		return fmt.Errorf("make the business tables: %w", err)
	}
	cfg := a.set.broker
	cfg.URL = amqp
	a.broker, err = rabbitmq.New(cfg)
	return err
}

func (a *app) close() error {
	var errs []error
	if a.broker != nil {
		errs = append(errs, a.broker.Close())
	}
	return errors.Join(append(errs, a.pool.Close())...)
}

// chunk is how many jobs one transaction of a preparation writes.
const chunk = 5000

// batchSize is the dispatcher's default.
const batchSize = 512

// backlog commits n due jobs that nobody dispatches yet, and settles.
func (a *app) backlog(ctx context.Context, env *Env, n int) error {
	for first := 0; first < n; first += chunk {
		items := orders(first, min(chunk, n-first))
		if err := a.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error { return a.store.EnqueueAll(ctx, tx, items...) }); err != nil {
			return fmt.Errorf("prepare a backlog: %w", err)
		}
	}
	return env.settle(ctx)
}

func orders(first, n int) []outbox.Item {
	items := make([]outbox.Item, n)
	for i := range items {
		items[i].Args = newOrder(int64(first + i))
	}
	return items
}

// relay has n jobs carried to broker, and returns when all are recorded.
func (a *app) relay(ctx context.Context, broker dispatcher.Broker, n int) error {
	d, err := dispatcher.New(a.store, broker, a.set.dispatcher)
	if err != nil {
		return err
	}
	l := start(ctx, d.Run)
	// Run returns when the batches in hand are committed.
	return l.end(await(l.ctx, func() (bool, error) { return d.Stats().Sent >= int64(n), nil }))
}

// handling is what is done with each job when it comes.
type handling func(Order)

// Consume implements handler.Typed.
func (h handling) Consume(_ context.Context, job handler.Job[Order]) error {
	h(job.Args)
	return nil
}

// FailAction implements handler.Typed; nothing fails here.
func (handling) FailAction(context.Context, handler.Job[Order], error) error { return nil }

// newWorker makes a worker that hands every job to h.
func (a *app) newWorker(h handling) (*worker.Worker, error) {
	reg := handler.NewRegistry()
	handler.Register(reg, h)
	return worker.New(a.store, a.broker, reg, a.set.worker)
}

// drain has n jobs dispatched, handled and recorded by loops in this process,
// and calls over when the last of them is done in the database.
func (a *app) drain(ctx context.Context, env *Env, n int, over func() error) error {
	var handled atomic.Int64
	w, err := a.newWorker(func(Order) { handled.Add(1) })
	if err != nil {
		return err
	}
	d, err := dispatcher.New(a.store, a.broker, a.set.dispatcher)
	if err != nil {
		return err
	}
	l := start(ctx, d.Run, w.Run)
	err = await(l.ctx, func() (bool, error) { return handled.Load() >= int64(n), nil })
	if err == nil {
		err = env.awaitDatabase(l.ctx, `SELECT NOT EXISTS (SELECT FROM ackbox_jobs WHERE finished_at IS NULL)`)
	}
	if err == nil {
		err = over()
	}
	return l.end(err)
}
