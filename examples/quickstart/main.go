// Quickstart is the whole path in one process, without a server: orders and jobs commit or
// roll back together, handlers fail and are retried, and the ledger accounts for every job.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/glebarez/sqlite"
	"golang.org/x/sync/errgroup"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/dispatcher"
	"github.com/ackbox/ackbox/handler"
	"github.com/ackbox/ackbox/memory"
	"github.com/ackbox/ackbox/outbox"
	"github.com/ackbox/ackbox/retry"
	"github.com/ackbox/ackbox/worker"
)

type (
	Order        struct{ ID int } // the business data: an ordinary GORM model
	ConfirmOrder struct{ ID int } // the arguments of one kind of job …
	ExportOrder  struct{ ID int } // … and of another
)

func (ConfirmOrder) Kind() string { return "order.confirm" }
func (ExportOrder) Kind() string  { return "order.export" }

var errMistake, errNoAnswer = errors.New("ordered by mistake"), errors.New("the old warehouse does not answer")

// confirm fails at first for every tenth order, then succeeds. The worker's log says so.
func confirm(_ context.Context, job handler.Job[ConfirmOrder]) error {
	if job.Args.ID%10 == 0 && job.Attempt == 1 {
		return fmt.Errorf("order %d: the mail server is busy", job.Args.ID)
	}
	return nil
}

// export always fails: after its last try FailAction is called. A handler that has
// nothing to do then leaves it out.
type export struct{}

func (export) Consume(context.Context, handler.Job[ExportOrder]) error { return errNoAnswer }

func (export) FailAction(_ context.Context, job handler.Job[ExportOrder], cause error) error {
	_, err := fmt.Printf("  order %3d: export given up after %d tries: %v\n", job.Args.ID, job.Attempt, cause)
	return err
}

// place writes an order and its jobs in one transaction. Some orders turn out
// to be mistakes: they roll back, and so do their jobs.
func place(ctx context.Context, db *gorm.DB, id int) (jobs int64, err error) {
	items := []outbox.Item{{Args: ConfirmOrder{id}}}
	if id%100 == 1 {
		items = append(items, outbox.Item{Args: ExportOrder{id}, Options: []outbox.Option{outbox.MaxAttempts(3)}})
	}
	return int64(len(items)), db.Transaction(func(tx *gorm.DB) error {
		err := errors.Join(tx.Create(&Order{ID: id}).Error, outbox.EnqueueAll(ctx, tx, items...))
		if err == nil && id%10 == 5 {
			err = errMistake
		}
		return err
	})
}

func run(ctx context.Context) error {
	// On real servers: postgres.Open(url) and rabbitmq.New(rabbitmq.Config{URL: url}).
	db, err1 := gorm.Open(sqlite.Open("file::memory:"), &gorm.Config{Logger: logger.Discard})
	mq, err2 := memory.New(memory.Config{})
	backoff, err3 := retry.Exponential(200*time.Millisecond, time.Second, 0.2)
	pool, err4 := db.DB()
	store, err5 := outbox.NewStore(db, outbox.Config{})
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		return err
	}
	pool.SetMaxOpenConns(1) // a SQLite database in memory is one connection
	if err := errors.Join(store.Migrate(ctx), db.AutoMigrate(&Order{})); err != nil {
		return err
	}
	reg := handler.NewRegistry()
	handler.RegisterFunc(reg, confirm)
	handler.Register(reg, export{})
	d, err1 := dispatcher.New(store, mq, dispatcher.Config{})
	w, err2 := worker.New(store, mq, reg, worker.Config{Backoff: backoff})
	s, err3 := retry.NewSweeper(store, mq, retry.Config{})
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	var loops, clients errgroup.Group
	running, stop := context.WithCancel(ctx) // stopped loops finish what they hold
	loops.Go(func() error { return d.Run(running) })
	loops.Go(func() error { return w.Run(running) })
	loops.Go(func() error { return s.Run(running) })
	var committed, rolledBack atomic.Int64
	clients.SetLimit(4)
	for id := 1; id <= 300; id++ {
		clients.Go(func() error {
			jobs, err := place(ctx, db, id)
			if errors.Is(err, errMistake) {
				rolledBack.Add(1)
				return nil
			}
			committed.Add(jobs)
			return err
		})
	}
	err := clients.Wait()
	fmt.Printf("placed 300 orders from 4 goroutines; %d rolled back, with their jobs\n", rolledBack.Load())
	err = errors.Join(err, settle(ctx, store))
	stop()
	err = errors.Join(err, loops.Wait(), mq.Close())
	return errors.Join(err, balance(ctx, store, int(committed.Load())))
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1) //nolint:gocritic // nothing is left to cancel
	}
}

// settle waits until the ledger has no open job.
func settle(ctx context.Context, store *outbox.Store) error {
	n, err := store.Counts(ctx)
	for ; err == nil && n[ackbox.Pending]+n[ackbox.Sent] > 0; n, err = store.Counts(ctx) {
		time.Sleep(100 * time.Millisecond)
	}
	return err
}

// balance adds up the ledger.
func balance(ctx context.Context, store *outbox.Store, committed int) error {
	n, err := store.Counts(ctx)
	if err != nil {
		return err
	}
	done, dead := n[ackbox.Done], n[ackbox.Dead]
	fmt.Printf("quickstart: %d committed, %d done, %d dead, %d lost\n", committed, done, dead, committed-done-dead)
	if committed != done+dead || dead == 0 {
		return errors.New("the numbers do not add up")
	}
	return nil
}
