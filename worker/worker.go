package worker

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/ackbox/ackbox/handler"
	"github.com/ackbox/ackbox/internal/beat"
	"github.com/ackbox/ackbox/internal/hook"
	"github.com/ackbox/ackbox/internal/registry"
)

// Worker hands the jobs of its queues to their handlers.
type Worker struct {
	setup setup
	life  beat.Life
	shift atomic.Pointer[shift] // of the last Run
}

// New returns a Worker for the kinds that are registered in reg by now. It
// does no I/O and starts nothing. It fails on a nil ledger, broker or registry,
// on every mistake made in registering, on an empty registry, and on every bad
// field of cfg, by name; a queue that the broker's topology does not have is one.
func New(ledger Ledger, broker Broker, reg *handler.Registry, cfg Config) (*Worker, error) {
	switch {
	case absent(ledger):
		return nil, errors.New("worker: the ledger is nil: pass an *outbox.Store")
	case absent(broker):
		return nil, errors.New("worker: the broker is nil: pass a *rabbitmq.Broker or *memory.Broker")
	case reg == nil:
		return nil, errors.New("worker: the registry is nil: pass handler.NewRegistry() with handlers in it")
	}
	if err := reg.Err(); err != nil {
		return nil, fmt.Errorf("worker: %w", err)
	}
	cfg = cfg.withDefaults()
	if err := cfg.validate(broker.Queues()); err != nil {
		return nil, err
	}
	entries := make(map[string]entry)
	for _, kind := range reg.Kinds() {
		entry, _ := registry.Lookup(reg, kind)
		if entry.Timeout == 0 {
			entry.Timeout = cfg.JobTimeout
		}
		if entry.Backoff == nil {
			entry.Backoff = cfg.Backoff
		}
		entries[kind] = entry
	}
	if len(entries) == 0 {
		return nil, errors.New("worker: the registry has no handlers: register them before worker.New")
	}
	return &Worker{setup: setup{ledger: ledger, broker: broker, cfg: cfg, entries: entries, kinds: reg.Kinds(), hooks: hook.New(cfg.Hooks, cfg.Logger)}}, nil
}

// Run consumes until ctx ends. Then it takes in nothing more, gives back what
// has not started, and waits for the jobs in hand: Config.Grace as they are, up
// to 5 s more with their contexts cancelled. What is unfinished then goes back
// uncharged. It returns nil, or [ErrHandlersStuck] naming the jobs
// whose handlers still run, at most Config.Grace and about 12 s after ctx ended.
// Failures of database or broker do not end it. It returns an error at once if
// the Worker runs already, and ends likewise, with ackbox.ErrClosed, if the
// broker's owner closed it. A Worker may be run again afterwards: that is
// another instance, with nothing in hand.
func (w *Worker) Run(ctx context.Context) error {
	if !w.life.Begin() {
		return errors.New("worker: Run was called while it runs already")
	}
	defer w.life.End()
	intake, stopIntake := context.WithCancelCause(ctx)
	defer stopIntake(nil)
	s := newShift(&w.setup, intake.Done())
	w.shift.Store(s)
	return newStaff(s, stopIntake).run(intake)
}
