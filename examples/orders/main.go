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

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/outbox"
	"github.com/ackbox/ackbox/rabbitmq"
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

	tel, err := newTelemetry(cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, tel.close()) }()
	hooks := []ackbox.Hook{tel}

	store, err := outbox.NewStore(db, outbox.Config{Queues: topology.QueueNames(), HeadersFrom: tel.HeadersFrom, Hooks: hooks})
	if err != nil {
		return err
	}
	if err := errors.Join(migrate(ctx, db), store.Migrate(ctx)); err != nil {
		return err
	}

	// Connects when it is first needed, and again whenever it must: the
	// application starts, and takes orders, while the broker is down.
	var mq *rabbitmq.Broker
	if cfg.amqpURL != "" {
		if mq, err = rabbitmq.New(rabbitmq.Config{URL: cfg.amqpURL, Topology: topology}); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, mq.Close()) }()
	}
	l, err := newLoops(cfg, db, store, mq, tel)
	if err != nil {
		return err
	}
	stopWatching, err := tel.Watch(l.watched(cfg, store))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stopWatching()) }()
	board, err := newBoard(cfg, store, mq)
	if err != nil {
		return err
	}

	g, ctx := errgroup.WithContext(ctx)
	srv := &server{cfg: cfg, db: db, store: store, tel: tel, board: board, state: l.state(cfg)}
	g.Go(func() error { return srv.run(ctx) })
	for _, run := range l.runs {
		g.Go(func() error { return run(ctx) })
	}
	slog.InfoContext(ctx, "orders: started", "addr", cfg.addr, "cancel_after", cfg.cancelAfter)
	return g.Wait()
}
