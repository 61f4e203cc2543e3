// Orders is a small monolith on PostgreSQL and RabbitMQ: it takes orders over
// HTTP and does everything that follows from them in jobs that commit with the
// order. Run several instances side by side, whole or split by -role.
//
//	DATABASE_URL=postgres://… AMQP_URL=amqp://… go run ./examples/orders
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sync/errgroup"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/ackbox/ackbox/dispatcher"
	"github.com/ackbox/ackbox/handler"
	"github.com/ackbox/ackbox/outbox"
	"github.com/ackbox/ackbox/rabbitmq"
	"github.com/ackbox/ackbox/retry"
	"github.com/ackbox/ackbox/worker"
)

func main() {
	role := flag.String("role", "all", "what this process does: all, web, dispatcher or worker")
	flag.Parse()
	log := slog.New(slog.NewTextHandler(os.Stderr, nil)).With("role", *role, "pid", os.Getpid())
	slog.SetDefault(log)

	// SIGTERM stops the intake everywhere; what is in hand is finished.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx, *role, flag.Args()); err != nil {
		log.Error("orders: stopped", "error", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
	log.Info("orders: stopped")
}

func run(ctx context.Context, role string, args []string) (err error) {
	cfg, err := configFromEnv(role, args)
	if err != nil {
		return err
	}
	db, err := gorm.Open(postgres.Open(cfg.databaseURL), &gorm.Config{Logger: logger.Discard, TranslateError: true})
	if err != nil {
		return fmt.Errorf("open DATABASE_URL: %w", err)
	}
	pool, err := db.DB()
	if err != nil {
		return err
	}
	pool.SetMaxOpenConns(20)
	pool.SetMaxIdleConns(20)
	defer func() { err = errors.Join(err, pool.Close()) }()

	store, err := outbox.NewStore(db, outbox.Config{Queues: topology.QueueNames()})
	if err != nil {
		return err
	}
	if err := errors.Join(migrate(ctx, db), store.Migrate(ctx)); err != nil {
		return err
	}

	g, ctx := errgroup.WithContext(ctx)
	if cfg.does("web") {
		srv := newServer(cfg, db, store)
		g.Go(func() error { return srv.run(ctx) })
	}
	if cfg.does("dispatcher") || cfg.does("worker") {
		// Connects when it is first needed, and again whenever it must: the
		// application starts, and takes orders, while the broker is down.
		mq, mqErr := rabbitmq.New(rabbitmq.Config{URL: cfg.amqpURL, Topology: topology})
		if mqErr != nil {
			return mqErr
		}
		defer func() { err = errors.Join(err, mq.Close()) }()
		if err := startLoops(ctx, g, cfg, db, store, mq); err != nil {
			return err
		}
	}
	slog.InfoContext(ctx, "orders: started", "addr", cfg.addr, "cancel_after", cfg.cancelAfter)
	return g.Wait()
}

// startLoops starts what the role asks for: dispatcher and sweeps, worker.
func startLoops(ctx context.Context, g *errgroup.Group, cfg config, db *gorm.DB, store *outbox.Store, mq *rabbitmq.Broker) error {
	if cfg.does("dispatcher") {
		d, err := dispatcher.New(store, mq, dispatcher.Config{})
		if err != nil {
			return err
		}
		s, err := retry.NewSweeper(store, mq, retry.Config{})
		if err != nil {
			return err
		}
		g.Go(func() error { return d.Run(ctx) })
		g.Go(func() error { return s.Run(ctx) })
	}
	if cfg.does("worker") {
		reg := handler.NewRegistry()
		backoff, err := retry.Exponential(confirmBackoff, confirmBackoff*8, 0.2)
		if err != nil {
			return err
		}
		handler.Register(reg, &confirmOrder{db: db, mailer: cfg.mailer}, handler.WithBackoff(backoff))
		handler.Register(reg, &cancelUnpaid{db})
		w, err := worker.New(store, mq, reg, worker.Config{
			Queues: []worker.Queue{{Name: queueOrders}},
		})
		if err != nil {
			return err
		}
		g.Go(func() error { return w.Run(ctx) })
	}
	return nil
}
