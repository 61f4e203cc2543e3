// Quickstart shows the whole path in one process: orders are placed in
// transactions, their jobs commit or roll back with them, handlers run, fail,
// are retried and give up, and the ledger accounts for every job. It needs no
// server: SQLite holds the table and the memory broker carries the messages.
//
//	go run ./examples/quickstart
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/glebarez/sqlite"
	"golang.org/x/sync/errgroup"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/ackbox/ackbox/dispatcher"
	"github.com/ackbox/ackbox/handler"
	"github.com/ackbox/ackbox/memory"
	"github.com/ackbox/ackbox/outbox"
	"github.com/ackbox/ackbox/retry"
	"github.com/ackbox/ackbox/worker"
)

// Order is the business data: an ordinary GORM model.
type Order struct{ ID int }

// ConfirmOrder and ExportOrder are the arguments of two kinds of jobs.
type (
	ConfirmOrder struct{ OrderID int }
	ExportOrder  struct{ OrderID int }
)

func (ConfirmOrder) Kind() string { return "order.confirm" }
func (ExportOrder) Kind() string  { return "order.export" }

// confirm fails on its first try for every tenth order, then succeeds.
type confirm struct {
	handler.NoFailAction[ConfirmOrder]
}

func (confirm) Consume(_ context.Context, job handler.Job[ConfirmOrder]) error {
	if job.Args.OrderID%10 == 0 && job.Attempt == 1 {
		fmt.Printf("  order %3d: the mail server is busy, confirming again in a moment\n", job.Args.OrderID)
		return errors.New("mail server busy")
	}
	return nil
}

// export always fails: after its last try FailAction is called once.
type export struct{}

func (export) Consume(context.Context, handler.Job[ExportOrder]) error {
	return errors.New("the old warehouse does not answer")
}

func (export) FailAction(_ context.Context, job handler.Job[ExportOrder], cause error) error {
	fmt.Printf("  order %3d: export given up after %d tries: %v\n", job.Args.OrderID, job.Attempt, cause)
	return nil
}

// place writes an order and its jobs in one transaction. Every fifth order
// turns out to be a mistake: it rolls back, and so do its jobs.
func place(ctx context.Context, db *gorm.DB, id int) error {
	return db.Transaction(func(tx *gorm.DB) error {
		if err := tx.Create(&Order{ID: id}).Error; err != nil {
			return err
		}
		if err := outbox.Enqueue(ctx, tx, ConfirmOrder{OrderID: id}); err != nil {
			return err
		}
		if id%25 == 1 {
			if err := outbox.Enqueue(ctx, tx, ExportOrder{OrderID: id}, outbox.MaxAttempts(3)); err != nil {
				return err
			}
		}
		if id%5 == 0 && id%10 != 0 {
			return errMistake
		}
		return nil
	})
}

var errMistake = errors.New("ordered by mistake")

func run(ctx context.Context) error {
	// Two lines to change for real servers: postgres.Open(url) here …
	db, err := gorm.Open(sqlite.Open("file::memory:"), &gorm.Config{Logger: logger.Discard})
	mq, mqErr := memory.New(memory.Config{}) // … and rabbitmq.New(rabbitmq.Config{URL: url}) here.
	if err := errors.Join(err, mqErr); err != nil {
		return err
	}
	pool, err := db.DB()
	if err != nil {
		return err
	}
	pool.SetMaxOpenConns(1) // SQLite has one writer; an in-memory database has one connection

	store, err := outbox.NewStore(db, outbox.Config{})
	if err != nil {
		return err
	}
	if err := errors.Join(store.Migrate(ctx), db.AutoMigrate(&Order{})); err != nil {
		return err
	}
	backoff, err := retry.Exponential(200*time.Millisecond, time.Second, 0.2)
	if err != nil {
		return err
	}
	reg := handler.NewRegistry()
	handler.Register(reg, confirm{})
	handler.Register(reg, export{})
	d, err1 := dispatcher.New(store, mq, dispatcher.Config{})
	w, err2 := worker.New(store, mq, reg, worker.Config{Backoff: backoff, Logger: quiet})
	s, err3 := retry.NewSweeper(store, mq, retry.Config{})
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}

	// The loops run until stop is called; then they finish what they hold.
	loops, stop := context.WithCancel(ctx)
	defer stop()
	var g errgroup.Group
	g.Go(func() error { return d.Run(loops) })
	g.Go(func() error { return w.Run(loops) })
	g.Go(func() error { return s.Run(loops) })

	committed, err := placeAll(ctx, db)
	if err == nil {
		err = account(ctx, store, committed)
	}
	stop()
	return errors.Join(err, g.Wait(), mq.Close())
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}
