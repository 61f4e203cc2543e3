package worker

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/ackbox/ackbox/handler"
	"github.com/ackbox/ackbox/internal/registry"
)

// Worker hands the jobs of its queues to their handlers.
type Worker struct {
	ledger  Ledger
	broker  Broker
	cfg     Config
	entries map[string]registry.Entry
	running atomic.Bool
	held    *held
	own     atomic.Value // the ledger's identity, a string, once it is known
	said    notices      // what was logged lately
	count   counters
}

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
// field of cfg, by name.
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
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	w := &Worker{ledger: ledger, broker: broker, cfg: cfg, held: newHeld(), entries: make(map[string]registry.Entry)}
	for _, kind := range reg.Kinds() {
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
// to its queue uncharged. It returns nil, or [ErrHandlersStuck] naming the jobs
// whose handlers still run, at most Config.Grace and about 12 s after ctx ended.
// Failures of database or broker do not end it. It returns an error at once if
// the Worker runs already, and ends likewise, with ackbox.ErrClosed, if the
// broker's owner closed it.
func (w *Worker) Run(ctx context.Context) error {
	if !w.running.CompareAndSwap(false, true) {
		return errors.New("worker: Run was called while it runs already")
	}
	defer w.running.Store(false)

	// intake ends when it is time to stop, work when the grace is over.
	intake, stopIntake := context.WithCancelCause(ctx)
	defer stopIntake(nil)
	work, stopWork := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stopWork(nil)
	// service ends when nothing is left to record or to vouch for.
	service, stopService := context.WithCancel(context.WithoutCancel(ctx))
	defer stopService()

	r := &run{
		Worker:   w,
		recorder: newRecorder(w),
		slots:    semaphore.NewWeighted(int64(w.cfg.Concurrency)),
		kick:     make(chan struct{}, 1),
		stop:     stopIntake,
	}
	var services errgroup.Group
	services.Go(func() error { r.recorder.run(service); return nil })
	services.Go(func() error { r.watch(service); return nil })

	var queues errgroup.Group
	for _, q := range w.cfg.Queues {
		queues.Go(func() error { return r.consume(intake, work, q) })
	}
	finished := make(chan error, 1)
	go func() { finished <- queues.Wait() }() // awaited below, unless handlers are stuck

	err := r.wait(intake, finished, stopWork, stopService)
	stopService()
	return errors.Join(err, services.Wait())
}

// wait returns when every queue has stopped, or cannot be stopped.
func (r *run) wait(intake context.Context, finished <-chan error, stopWork context.CancelCauseFunc, stopService func()) error {
	select {
	case err := <-finished:
		return err
	case <-intake.Done():
	}
	if ok, err := within(r.cfg.Grace, finished); ok {
		return err
	}
	stopWork(errStopping)
	if ok, err := within(afterGrace, finished); ok {
		return err
	}
	// Give back what is left, so that other workers have it at once.
	left := r.held.snapshot()
	for _, h := range left {
		h.requeue()
	}
	stopService() // frees those whose outcomes nobody could record
	if ok, err := within(afterGrace, finished); ok {
		return err
	}
	var stuck []string
	for _, h := range left {
		if h.running() {
			stuck = append(stuck, h.Kind+" "+h.ID)
		}
	}
	if len(stuck) == 0 {
		return errors.New("worker: a subscription did not end although all its messages were given back")
	}
	return fmt.Errorf("%w: %q", ErrHandlersStuck, stuck)
}

// within waits for what finished sends, and reports whether it came in time.
func within(d time.Duration, finished <-chan error) (ended bool, err error) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case err := <-finished:
		return true, err
	case <-timer.C:
		return false, nil
	}
}
