package main

import (
	"context"

	"gorm.io/gorm"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/dispatcher"
	"github.com/ackbox/ackbox/handler"
	"github.com/ackbox/ackbox/otelackbox"
	"github.com/ackbox/ackbox/outbox"
	"github.com/ackbox/ackbox/rabbitmq"
	"github.com/ackbox/ackbox/retry"
	"github.com/ackbox/ackbox/worker"
)

// loops are what runs in this process beside the server: dispatcher and sweeps, worker; and
// what they stand on.
type loops struct {
	runs    []func(context.Context) error
	parts   []ackbox.HealthChecker
	workers []otelackbox.WorkerStats
}

// newLoops makes what the role asks for.
func newLoops(cfg config, db *gorm.DB, store *outbox.Store, mq *rabbitmq.Broker, tel *telemetry) (*loops, error) {
	l := &loops{}
	l.parts = append(l.parts, store)
	if mq != nil {
		l.parts = append(l.parts, mq)
	}
	hooks := []ackbox.Hook{tel}
	if cfg.does("dispatcher") {
		d, err := dispatcher.New(store, mq, dispatcher.Config{Hooks: hooks})
		if err != nil {
			return nil, err
		}
		s, err := retry.NewSweeper(store, mq, retry.Config{})
		if err != nil {
			return nil, err
		}
		l.add(d)
		l.add(s)
	}
	if cfg.does("worker") {
		reg := handler.NewRegistry()
		reg.Use(tel.Middleware)
		backoff, err := retry.Exponential(confirmBackoff, confirmBackoff*8, 0.2)
		if err != nil {
			return nil, err
		}
		handler.Register(reg, &confirmOrder{db: db, mailer: cfg.mailer}, handler.WithBackoff(backoff))
		handler.Register(reg, &cancelUnpaid{db})
		w, err := worker.New(store, mq, reg, worker.Config{
			Queues: []worker.Queue{{Name: queueOrders}},
			Hooks:  hooks,
		})
		if err != nil {
			return nil, err
		}
		l.add(w)
		l.workers = append(l.workers, w)
	}
	return l, nil
}

// loop is one of them.
type loop interface {
	ackbox.HealthChecker
	Run(ctx context.Context) error
}

func (l *loops) add(part loop) {
	l.parts = append(l.parts, part)
	l.runs = append(l.runs, part.Run)
}

// state is how this process is.
func (l *loops) state(cfg config) *state {
	if cfg.does("web") {
		return &state{parts: l.parts, needs: []string{"store"}}
	}
	return &state{parts: l.parts, needs: []string{"store", "rabbitmq", "dispatcher", "sweeper", "worker"}}
}

// watched is what metrics are made of that is looked at, not counted. All instances see the
// same queues: those that publish tell of them.
func (l *loops) watched(cfg config, store *outbox.Store) otelackbox.Parts {
	p := otelackbox.Parts{Workers: l.workers, Checks: l.parts}
	if cfg.does("dispatcher") {
		p.Queues = store
	}
	return p
}
