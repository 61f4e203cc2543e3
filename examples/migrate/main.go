// Migrate takes a queue over from a receiver that was written by hand around an AMQP
// channel, one which counts its tries in the header retry_nums and lets failures wait in
// the queue orders_retry_3, from where they return by a TTL. The queue stays as it was
// declared, the receiver's code stays as it is, what is in flight keeps its tries, and
// kinds move to handlers of their own one by one.
//
//	DATABASE_URL=postgres://… AMQP_URL=amqp://… go run ./examples/migrate
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sync/errgroup"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/handler"
	"github.com/ackbox/ackbox/outbox"
	"github.com/ackbox/ackbox/rabbitmq"
	"github.com/ackbox/ackbox/retry"
	"github.com/ackbox/ackbox/worker"
)

// topology names what the older receiver has declared: it is only checked. Its retry queue
// needs no word; what waits there returns to orders by itself, and nothing new goes there.
var topology = ackbox.Topology{
	Queues: []ackbox.Queue{{Name: "orders", Type: ackbox.Classic, Passive: true}},
}

// messages says how what is in the queue is read.
var messages = worker.Messages{
	Kind:  []worker.Find{worker.FromType(), worker.FromHeader("event"), worker.Always("order.mail")},
	ID:    []worker.Find{worker.FromMessageID(), worker.FromBody("id")},
	Tries: []worker.Find{worker.FromHeader("retry_nums")},
}

// maxAttempts is the older receiver's, so that what is in flight dies when it would have.
const maxAttempts = 4

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx); err != nil {
		slog.Error("migrate: stopped", "error", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
}

func run(ctx context.Context) (err error) {
	for _, name := range []string{"DATABASE_URL", "AMQP_URL"} {
		if os.Getenv(name) == "" {
			return fmt.Errorf("%s is not set: want a URL, as in the comment at the top of this file", name)
		}
	}
	db, err := gorm.Open(postgres.Open(os.Getenv("DATABASE_URL")), &gorm.Config{Logger: logger.Discard})
	if err != nil {
		return fmt.Errorf("open DATABASE_URL: %w", err)
	}
	pool, err := db.DB()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pool.Close()) }()
	store, err := outbox.NewStore(db, outbox.Config{Queues: topology.QueueNames()})
	if err != nil {
		return err
	}
	if err := errors.Join(db.WithContext(ctx).AutoMigrate(&Mail{}, &Invoice{}), store.Migrate(ctx)); err != nil {
		return err
	}
	mq, err := rabbitmq.New(rabbitmq.Config{URL: os.Getenv("AMQP_URL"), Topology: topology})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, mq.Close()) }()

	handlers := handler.NewRegistry()
	handlers.Handle("order.mail", handler.FromReceiver(mailReceiver{db}))
	handler.Register(handlers, invoices{db})
	w, err := worker.New(store, mq, handlers, worker.Config{
		Queues:      []worker.Queue{{Name: "orders", Messages: messages}},
		MaxAttempts: maxAttempts,
	})
	if err != nil {
		return err
	}
	sweeper, err := retry.NewSweeper(store, mq, retry.Config{}) // which keeps the inbox small
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return w.Run(ctx) })
	g.Go(func() error { return sweeper.Run(ctx) })
	return g.Wait()
}
