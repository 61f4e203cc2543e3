package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/dispatcher"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/outbox"
	"github.com/ackbox/ackbox/rabbitmq"
)

// trial has a backlog relayed by some dispatchers and, if asked for, its queue
// drained by as many workers after that. Each of them has a connection to the
// broker and a database pool of its own, as in a process of its own.
type trial struct {
	set       system
	store     outbox.Config
	instances int
	rows      int
	item      func(i int) outbox.Item // the i-th of the backlog
	chunk     int                     // rows of a transaction of the preparation
	payload   int                     // bytes of each, where it matters
	drain     bool
}

// measure implements side.
func (t trial) measure(ctx context.Context, env *Env) (f figures, err error) {
	apps := make([]*app, 0, t.instances)
	defer func() {
		for _, a := range apps {
			err = errors.Join(err, a.close())
		}
	}()
	for range t.instances {
		a, err := t.open(ctx, env)
		if err != nil {
			return nil, err
		}
		apps = append(apps, a)
	}
	if err := t.backlog(ctx, env, apps); err != nil {
		return nil, err
	}
	if f, err = t.relay(ctx, env, apps); err != nil || !t.drain {
		return f, err
	}
	// The worker starts on a table as clean as the dispatcher's was.
	if err := env.settle(ctx); err != nil {
		return nil, err
	}
	f["drain"], err = t.drained(ctx, env, apps)
	return f, err
}

// open is openOurs with a configured outbox and without business tables.
func (t trial) open(ctx context.Context, env *Env) (*app, error) {
	db, err := gorm.Open(postgres.Open(env.Database), &gorm.Config{Logger: logger.Discard})
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	a := &app{db: db, set: t.set}
	if a.pool, err = db.DB(); err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	a.pool.SetMaxOpenConns(poolSize)
	a.pool.SetMaxIdleConns(poolSize)
	if a.store, err = outbox.NewStore(db, t.store); err == nil {
		err = a.store.Migrate(ctx)
	}
	if err == nil {
		cfg := t.set.broker
		cfg.URL = env.AMQP
		a.broker, err = rabbitmq.New(cfg)
	}
	if err != nil {
		return nil, errors.Join(err, a.close())
	}
	return a, nil
}

// backlog commits the jobs, declares their queues and settles.
func (t trial) backlog(ctx context.Context, env *Env, apps []*app) error {
	for _, a := range apps {
		if err := a.broker.Ready(ctx); err != nil {
			return fmt.Errorf("connect to the broker: %w", err)
		}
	}
	first := apps[0]
	items := make([]outbox.Item, 0, t.chunk)
	for at := range t.rows {
		items = append(items, t.item(at))
		if len(items) < t.chunk && at < t.rows-1 {
			continue
		}
		err := first.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error { return first.store.EnqueueAll(ctx, tx, items...) })
		if err != nil {
			return fmt.Errorf("prepare a backlog: %w", err)
		}
		items = items[:0]
	}
	return env.settle(ctx)
}

// relay measures dispatchers from the first claim until the last row is
// committed as sent.
func (t trial) relay(ctx context.Context, env *Env, apps []*app) (figures, error) {
	batches := &stopwatch{full: t.set.dispatcher.BatchSize}
	if batches.full == 0 {
		batches.full = batchSize
	}
	dispatchers := make([]*dispatcher.Dispatcher, len(apps))
	runs := make([]func(context.Context) error, len(apps))
	for i, a := range apps {
		d, err := dispatcher.New(timedStore{a.store, batches}, a.broker, t.set.dispatcher)
		if err != nil {
			return nil, err
		}
		dispatchers[i], runs[i] = d, d.Run
	}
	elapsed, err := env.timed(func() error {
		l := start(ctx, runs...)
		// They return when the batches in hand are committed.
		return l.end(await(l.ctx, func() (bool, error) { return t.allSent(dispatchers) }))
	})
	if err != nil {
		return nil, err
	}
	f := figures{"relay": float64(t.rows) / elapsed.Seconds()}
	f["bytes"] = f["relay"] * float64(t.payload) / 1e6
	batches.add(f)
	return f, env.expect(ctx, t.rows, `SELECT count(*) FROM ackbox_jobs WHERE state = 'sent'`)
}

// allSent fails on what would be measured besides: refusals and repetitions.
func (t trial) allSent(dispatchers []*dispatcher.Dispatcher) (bool, error) {
	sent := int64(0)
	for _, d := range dispatchers {
		s := d.Stats()
		if s.Unknown+s.Refused > 0 {
			return false, fmt.Errorf("the broker refused %d messages and gave no answer for %d", s.Refused, s.Unknown)
		}
		sent += s.Sent
	}
	return sent >= int64(t.rows), nil
}

// drained measures workers from their start, subscribing included, until the
// last row is done in the database, in jobs per second.
func (t trial) drained(ctx context.Context, env *Env, apps []*app) (rate float64, err error) {
	var handled atomic.Int64
	runs := make([]func(context.Context) error, len(apps))
	for i, a := range apps {
		w, err := a.newWorker(func(Order) { handled.Add(1) })
		if err != nil {
			return 0, err
		}
		runs[i] = w.Run
	}
	_, err = env.timed(func() error {
		began := time.Now()
		l := start(ctx, runs...)
		err := await(l.ctx, func() (bool, error) { return handled.Load() >= int64(t.rows), nil })
		if err == nil {
			err = env.awaitDatabase(l.ctx, `SELECT NOT EXISTS (SELECT FROM ackbox_jobs WHERE finished_at IS NULL)`)
		}
		rate = float64(t.rows) / time.Since(began).Seconds()
		return l.end(err)
	})
	if err != nil {
		return 0, err
	}
	return rate, env.expect(ctx, t.rows, `SELECT count(*) FROM ackbox_jobs WHERE state = 'done'`)
}

// timedStore is a dispatcher's outbox under a stopwatch.
type timedStore struct {
	*outbox.Store
	batches *stopwatch
}

// Relay implements dispatcher.Outbox.
func (s timedStore) Relay(ctx context.Context, claim core.Claim, publish func(context.Context, []ackbox.Job) []core.Transition) (int, error) {
	began := time.Now()
	n, err := s.Store.Relay(ctx, claim, publish)
	if err == nil {
		s.batches.note(n, time.Since(began))
	}
	return n, err
}

// stopwatch notes how long full batches take from their claim to their commit.
type stopwatch struct {
	full int

	mu sync.Mutex
	ms []float64
}

func (s *stopwatch) note(n int, took time.Duration) {
	if n < s.full {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ms = append(s.ms, float64(took)/float64(time.Millisecond))
}

// add adds percentiles to f, if there was a full batch.
func (s *stopwatch) add(f figures) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.ms) == 0 {
		return
	}
	f["batch_p50"], f["batch_p99"] = percentile(s.ms, 50), percentile(s.ms, 99)
}
