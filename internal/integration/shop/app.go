package shop

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

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

// Config says where an instance of the shop finds its servers and what it does.
// It can be handed to another process as JSON.
type Config struct {
	DatabaseURL string
	AMQPURL     string
	// AMQPURLs are several nodes of one broker, instead of AMQPURL.
	AMQPURLs []string
	// Name tells instances apart in the runs they write down.
	Name string
	// Queues of this shop; default: [Queue] alone. Jobs go to the first unless
	// their plan names another.
	Queues []string
	// Dispatcher (with the sweeps) and Worker are the instance's parts.
	Dispatcher, Worker bool
	// PgBouncer opens the database with the settings that a pooler in
	// transaction mode needs; PrepareStmt is GORM's.
	PgBouncer, PrepareStmt bool
	// Concurrency of the worker (default 8) and connections of the pool (20).
	Concurrency, Connections int
	// Batch of the dispatcher (default 100).
	Batch int
	// StuckAfter of the sweeper (default 4 s), JobTimeout and Grace of the worker
	// (default 5 s and 3 s).
	StuckAfter, JobTimeout, Grace time.Duration
	// MaxStarts is the worker's (default 20).
	MaxStarts int
	// Accounts has runs written down with their ends, on connections of their own.
	Accounts bool
	// Heartbeat of the connections to the broker (default 1 s, which a machine that
	// has other things to do takes for a fault).
	Heartbeat time.Duration
	// Wire is how long a batch may be on the wire (default 4 s).
	Wire time.Duration

	// Logger is slog.Default() unless set.
	Logger *slog.Logger `json:"-"`
	// Handlers registers other handlers than the shop's.
	Handlers func(*App, *handler.Registry) `json:"-"`
}

// Settings that notice faults within seconds.
const (
	statementTimeout = 2 * time.Second
	confirmTimeout   = 2 * time.Second
)

// App is one instance of the shop.
type App struct {
	DB         *gorm.DB
	Store      *outbox.Store
	Broker     *rabbitmq.Broker
	Dispatcher *dispatcher.Dispatcher
	Sweeper    *retry.Sweeper
	Worker     *worker.Worker // nil unless Config.Worker
	cfg        Config
	accounts   *accounts // nil unless Config.Accounts
}

// Open wires an instance. It does no I/O; Close closes it.
func Open(cfg Config) (a *App, err error) {
	cfg.Concurrency, cfg.Connections, cfg.Batch = cmp.Or(cfg.Concurrency, 8), cmp.Or(cfg.Connections, 20), cmp.Or(cfg.Batch, 100)
	cfg.StuckAfter, cfg.JobTimeout, cfg.Wire = cmp.Or(cfg.StuckAfter, 4*time.Second), cmp.Or(cfg.JobTimeout, 5*time.Second), cmp.Or(cfg.Wire, 4*time.Second)
	cfg.Grace = cmp.Or(cfg.Grace, 3*time.Second)
	cfg.Logger = cmp.Or(cfg.Logger, slog.Default())
	if len(cfg.Queues) == 0 {
		cfg.Queues = []string{Queue}
	}
	a = &App{cfg: cfg}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.Close())
		}
	}()
	if a.DB, err = openDatabase(cfg, cfg.Connections); err != nil {
		return a, err
	}
	if cfg.Accounts {
		if a.accounts, err = openAccounts(cfg); err != nil {
			return a, err
		}
	}
	a.Store, err = outbox.NewStore(a.DB, outbox.Config{
		Queues: cfg.Queues, MaxAttempts: 1000,
		StatementTimeout: statementTimeout, WireTimeout: cfg.Wire,
	})
	if err != nil {
		return a, err
	}
	a.Broker, err = rabbitmq.New(rabbitmq.Config{
		URL: cfg.AMQPURL, URLs: cfg.AMQPURLs, Topology: cfg.topology(), Name: cfg.Name, Logger: cfg.Logger,
		ConfirmTimeout: confirmTimeout, DialTimeout: 3 * time.Second, WriteTimeout: 2 * time.Second,
		Heartbeat: cmp.Or(cfg.Heartbeat, time.Second), MaxBackoff: 500 * time.Millisecond,
	})
	if err != nil {
		return a, err
	}
	return a, a.openLoops()
}

func (a *App) openLoops() error {
	backoff, err := retry.Exponential(100*time.Millisecond, time.Second, 0.2)
	if err != nil {
		return err
	}
	a.Dispatcher, err = dispatcher.New(a.Store, a.Broker, dispatcher.Config{
		BatchSize: a.cfg.Batch, PollInterval: 50 * time.Millisecond,
		Backoff: backoff, Logger: a.cfg.Logger,
	})
	if err != nil {
		return err
	}
	a.Sweeper, err = retry.NewSweeper(a.Store, a.Broker, retry.Config{
		Rearm: "@every 1s", Resend: "@every 1s", StuckAfter: a.cfg.StuckAfter, Logger: a.cfg.Logger,
	})
	if err != nil || !a.cfg.Worker {
		return err
	}
	reg := handler.NewRegistry()
	if a.cfg.Handlers != nil {
		a.cfg.Handlers(a, reg)
	} else {
		a.Register(reg)
	}
	queues := make([]worker.Queue, len(a.cfg.Queues))
	for i, name := range a.cfg.Queues {
		queues[i] = worker.Queue{Name: name}
	}
	a.Worker, err = worker.New(a.Store, a.Broker, reg, worker.Config{
		Queues: queues, Concurrency: a.cfg.Concurrency, Backoff: backoff,
		JobTimeout: a.cfg.JobTimeout, Grace: a.cfg.Grace, MaxStarts: a.cfg.MaxStarts, Logger: a.cfg.Logger,
	})
	return err
}

func openDatabase(cfg Config, connections int) (*gorm.DB, error) {
	// PgBouncer may give every statement another session, so nothing can be
	// prepared in one.
	dialector := postgres.New(postgres.Config{DSN: cfg.DatabaseURL, PreferSimpleProtocol: cfg.PgBouncer})
	db, err := gorm.Open(dialector, &gorm.Config{
		Logger: logger.Discard, DisableAutomaticPing: true, PrepareStmt: cfg.PrepareStmt,
	})
	if err != nil {
		return nil, fmt.Errorf("shop: open the database: %w", err)
	}
	pool, err := db.DB()
	if err != nil {
		return nil, fmt.Errorf("shop: open the database: %w", err)
	}
	pool.SetMaxOpenConns(connections)
	pool.SetMaxIdleConns(connections)
	return db, nil
}

// Run runs the instance's parts until ctx ends.
func (a *App) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	if a.cfg.Dispatcher {
		g.Go(func() error { return a.Dispatcher.Run(ctx) })
		g.Go(func() error { return a.Sweeper.Run(ctx) })
	}
	if a.cfg.Worker {
		g.Go(func() error { return a.Worker.Run(ctx) })
	}
	return g.Wait()
}

// Close closes what Open has opened.
func (a *App) Close() error {
	var errs []error
	if a.Broker != nil {
		errs = append(errs, a.Broker.Close())
	}
	if a.accounts != nil {
		errs = append(errs, closeDatabase(a.accounts.db))
	}
	if a.DB != nil {
		errs = append(errs, closeDatabase(a.DB))
	}
	return errors.Join(errs...)
}

func closeDatabase(db *gorm.DB) error {
	pool, err := db.DB()
	if err != nil {
		return err
	}
	return pool.Close()
}
