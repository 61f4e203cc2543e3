package worker_test

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/handler"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/worker"
)

// bench is a running worker between fakes, in a synctest bubble.
type bench struct {
	*testing.T
	diary  *diary
	ledger *ledger
	broker *broker
	worker *worker.Worker
	log    *logbook
	stop   context.CancelFunc
	done   chan error
}

// logbook is a log that can be read.
type logbook struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write implements io.Writer.
func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// fixed is a backoff of one hour, which shows in the diary.
type fixed struct{}

// Next implements retry.Policy.
func (fixed) Next(int) time.Duration { return time.Hour }

// run starts a worker for kind "k" and runs test with it, in a bubble of fake
// time that also proves that nothing is left running.
func run(t *testing.T, cfg worker.Config, h handler.Handler, test func(b *bench)) {
	t.Helper()
	runOn(t, func(l *ledger) worker.Ledger { return l }, cfg, h, test)
}

// runOn is run with a ledger that is made of the fake one.
func runOn(t *testing.T, made func(*ledger) worker.Ledger, cfg worker.Config, h handler.Handler, test func(b *bench)) {
	t.Helper()
	runAs(t, "k", made, cfg, h, test)
}

// runAs is runOn with h for another kind.
func runAs(t *testing.T, kind string, made func(*ledger) worker.Ledger, cfg worker.Config, h handler.Handler, test func(b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		d := &diary{}
		b := &bench{T: t, diary: d, ledger: &ledger{diary: d}, log: &logbook{}, done: make(chan error, 1)}
		b.broker = &broker{diary: d, in: make(chan core.Delivery), lost: make(chan error)}
		reg := handler.NewRegistry()
		reg.Handle(kind, h)
		cfg.Logger = slog.New(slog.NewTextHandler(b.log, nil))
		if cfg.Backoff == nil {
			cfg.Backoff = fixed{}
		}
		w, err := worker.New(made(b.ledger), b.broker, reg, cfg)
		if err != nil {
			t.Fatal(err)
		}
		b.worker = w
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		b.stop = stop
		go func() { b.done <- w.Run(ctx) }() // awaited below
		synctest.Wait()
		test(b)
		stop()
		if err := <-b.done; err != nil {
			t.Errorf("Run: %v", err)
		}
		b.done <- nil
	})
}

// runAgain runs the worker of a bench whose Run has ended, until the function that it
// returns is called.
func (b *bench) runAgain() (stop func()) {
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error)
	go func() { done <- b.worker.Run(ctx) }() // awaited below
	synctest.Wait()
	return func() {
		b.Helper()
		cancel()
		if err := <-done; err != nil {
			b.Errorf("Run: %v", err)
		}
	}
}

// end stops the worker and waits until Run has returned.
func (b *bench) end() {
	b.Helper()
	b.stop()
	if err := <-b.done; err != nil {
		b.Errorf("Run: %v", err)
	}
	b.done <- nil
}

// logged returns how many lines of the log have all these words in them.
func (b *bench) logged(words ...string) (n int) {
	for line := range strings.Lines(b.log.String()) {
		missing := func(word string) bool { return !strings.Contains(line, word) }
		if !slices.ContainsFunc(words, missing) {
			n++
		}
	}
	return n
}

// deliver hands a delivery to the worker and waits until nothing moves.
func (b *bench) deliver(d core.Delivery) {
	b.Helper()
	b.send(d)
	synctest.Wait()
}

func (b *bench) send(d core.Delivery) {
	b.broker.open.Add(1)
	if d.Receipt == nil {
		d.Receipt = &receipt{b: b.broker, id: d.ID}
	}
	b.broker.in <- d
}

// pass lets fake time pass.
func (b *bench) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// job is a first delivery of a ledger job.
func job(id string) core.Delivery {
	return core.Delivery{Job: ackbox.Job{ID: id, Kind: "k", Queue: "default", Attempt: 1, MaxAttempts: 3, Ledger: identity}}
}

// expect compares the diary with what should have happened since the last
// call. What happens besides has tests of its own.
func (b *bench) expect(want ...string) {
	b.Helper()
	b.diary.mu.Lock()
	got := b.diary.lines
	b.diary.lines = nil
	b.diary.mu.Unlock()
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		b.Errorf("it happened:\n  %s\nwant:\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}
