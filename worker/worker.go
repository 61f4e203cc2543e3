package worker

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/ackbox/ackbox/handler"
	"github.com/ackbox/ackbox/internal/registry"
)

// Worker hands the jobs of its queues to their handlers.
type Worker struct {
	ledger  Ledger
	broker  Broker
	cfg     Config
	entries map[string]entry
	kinds   []string // the keys of entries
	running atomic.Bool
	own     string                // the ledger's identity, once a Run knows it
	inHand  atomic.Pointer[hands] // of the last Run
	said    notices               // what was logged lately
	count   counters
}

type entry = registry.Entry

// ErrHandlersStuck is returned by Run when handlers did not return although
// their contexts had ended and the time to wait for them was over. Their
// goroutines are still running.
var ErrHandlersStuck = errors.New("worker: handlers did not return")

// errStopping is the cause of a handler's context that was cancelled because
// the grace period is over.
var errStopping = errors.New("worker: stopping, the grace period is over")

// afterGrace is how long Run waits for handlers, and for outcomes to be
// recorded, once the grace period is over and contexts are cancelled.
const afterGrace = 5 * time.Second

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
	w := &Worker{ledger: ledger, broker: broker, cfg: cfg, entries: make(map[string]entry), kinds: reg.Kinds()}
	for _, kind := range w.kinds {
		entry, _ := registry.Lookup(reg, kind)
		if entry.Timeout == 0 {
			entry.Timeout = cfg.JobTimeout
		}
		if entry.Backoff == nil {
			entry.Backoff = cfg.Backoff
		}
		w.entries[kind] = entry
	}
	if len(w.entries) == 0 {
		return nil, errors.New("worker: the registry has no handlers: register them before worker.New")
	}
	return w, nil
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
	if !w.running.CompareAndSwap(false, true) {
		return errors.New("worker: Run was called while it runs already")
	}
	defer w.running.Store(false)
	intake, stopIntake := context.WithCancelCause(ctx)
	defer stopIntake(nil)
	s := newShift(w, intake.Done())
	w.inHand.Store(s.hands)
	return newStaff(s, stopIntake).run(intake)
}
