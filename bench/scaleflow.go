package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"gorm.io/gorm"

	"github.com/ackbox/ackbox/dispatcher"
	"github.com/ackbox/ackbox/handler"
	"github.com/ackbox/ackbox/outbox"
	"github.com/ackbox/ackbox/worker"
)

// flow is a system at work: jobs are committed at latencyRate, dispatched and
// handled in this process, while something else is done to their table.
type flow struct {
	store  *outbox.Store
	claims *timed

	mu                 sync.Mutex
	committed, started map[int64]time.Time // of jobs of which only one is known
	handled            []moment            // starts of handlers, since their jobs' commits
	commits            []moment            // ends of transactions, since their starts
}

// moment is when something was over and how long it took, in ms.
type moment struct {
	at time.Time
	ms float64
}

func newFlow(store *outbox.Store) *flow {
	return &flow{
		store: store, claims: newTimed(store, 0),
		committed: make(map[int64]time.Time), started: make(map[int64]time.Time),
	}
}

// flowing runs do while jobs flow through store's table. After it, every job
// that was committed must have been handled.
func flowing(ctx context.Context, a *app, store *outbox.Store, do func(context.Context, *flow) error) error {
	f := newFlow(store)
	if err := a.broker.Ready(ctx); err != nil {
		return err
	}
	d, err := dispatcher.New(f.claims, a.broker, a.set.dispatcher)
	if err != nil {
		return err
	}
	reg := handler.NewRegistry()
	handler.Register(reg, handling(func(o Order) { f.began(o.Number, time.Now()) }))
	w, err := worker.New(store, a.broker, reg, a.set.worker)
	if err != nil {
		return err
	}
	system := start(ctx, d.Run, w.Run)
	source := start(system.ctx, f.produce)
	if err := source.end(do(source.ctx, f)); err != nil {
		return system.end(err)
	}
	return system.end(f.awaitHandled(system.ctx))
}

// commitTimeout bounds one transaction of a flow: the worst that is measured.
const commitTimeout = time.Minute

// produce commits each job at its time whatever became of those before, until
// ctx ends, and waits for the commits in hand.
func (f *flow) produce(ctx context.Context) error {
	group, work := errgroup.WithContext(context.WithoutCancel(ctx))
	group.SetLimit(writers)
	began := time.Now()
	for number := int64(1); work.Err() == nil; number++ {
		if !pause(ctx, time.Until(began.Add(time.Duration(number)*time.Second/latencyRate))) {
			break
		}
		group.Go(func() error { return f.commit(work, number) })
	}
	return group.Wait()
}

func (f *flow) commit(ctx context.Context, number int64) error {
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	began := time.Now()
	err := f.store.Transaction(ctx, func(tx *gorm.DB) error {
		o := newOrder(number)
		if err := tx.Create(rowOf(o)).Error; err != nil {
			return err
		}
		return f.store.Enqueue(ctx, tx, o)
	})
	if err != nil {
		return fmt.Errorf("commit job %d: %w", number, err)
	}
	f.ended(number, began, time.Now())
	return nil
}

// ended notes that a job's transaction, begun at began, was committed.
func (f *flow) ended(number int64, began, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.commits = append(f.commits, moment{at: now, ms: milliseconds(now.Sub(began))})
	if at, ok := f.started[number]; ok { // before the commit's answer was here
		delete(f.started, number)
		f.handled = append(f.handled, moment{at: at})
		return
	}
	f.committed[number] = now
}

// began notes that a job's handler has started.
func (f *flow) began(number int64, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	at, ok := f.committed[number]
	if !ok {
		f.started[number] = now
		return
	}
	delete(f.committed, number)
	f.handled = append(f.handled, moment{at: now, ms: milliseconds(now.Sub(at))})
}

// awaitHandled waits for the jobs that nobody has handled yet.
func (f *flow) awaitHandled(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stragglers)
	defer cancel()
	left := 0
	err := await(ctx, func() (bool, error) {
		f.mu.Lock()
		defer f.mu.Unlock()
		left = len(f.committed)
		return left == 0, nil
	})
	if err != nil {
		return fmt.Errorf("%d committed jobs were not handled: %w", left, err)
	}
	return nil
}

// flowFigures are what the jobs of a flow and the transactions that enqueued
// them took, in ms. Latency is from commit to handler: what locks the table
// shows in the commits.
type flowFigures struct {
	rate            float64 // handled per second
	latency, commit [3]float64
}

// flowPercentiles are those of latency and commit.
var flowPercentiles = [3]float64{50, 99, 100}

// between are the figures of what was over in [from, to).
func (f *flow) between(from, to time.Time) flowFigures {
	f.mu.Lock()
	handled, commits := during(f.handled, from, to), during(f.commits, from, to)
	f.mu.Unlock()
	var figures flowFigures
	if d := to.Sub(from); d > 0 {
		figures.rate = float64(len(handled)) / d.Seconds()
	}
	for i, p := range flowPercentiles {
		figures.latency[i], figures.commit[i] = percentile(handled, p), percentile(commits, p)
	}
	return figures
}

// flowed reports the jobs that flowed in [from, to).
func (s *scale) flowed(f *flow, step, name string, from, to time.Time) error {
	v := f.between(from, to)
	return s.report.add(measurement{step: step, name: "jobs " + name, values: []value{
		{"jobs_per_s", v.rate},
		{"latency_p50_ms", v.latency[0]},
		{"latency_p99_ms", v.latency[1]},
		{"latency_max_ms", v.latency[2]},
		{"commit_p50_ms", v.commit[0]},
		{"commit_p99_ms", v.commit[1]},
		{"commit_max_ms", v.commit[2]},
	}})
}

func during(moments []moment, from, to time.Time) []float64 {
	var ms []float64
	for _, m := range moments {
		if !m.at.Before(from) && m.at.Before(to) {
			ms = append(ms, m.ms)
		}
	}
	return ms
}

// calm lets jobs flow for a while and nothing else, and reports them. What
// comes first is left out: connections are opened and statements prepared.
func (s *scale) calm(ctx context.Context, f *flow, step, name string) error {
	d := min(time.Minute, s.options.steady/4)
	if !pause(ctx, d/4) {
		return context.Cause(ctx)
	}
	from := time.Now()
	if !pause(ctx, d) {
		return context.Cause(ctx)
	}
	return s.flowed(f, step, name, from, time.Now())
}
