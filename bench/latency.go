package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/riverqueue/river"
	"gorm.io/gorm"

	"github.com/ackbox/ackbox/dispatcher"
	"github.com/ackbox/ackbox/outbox"
)

// latencyCases measure how long after its commit a job's handler starts, at a
// rate that leaves the machine mostly idle, and what both systems use up when
// nothing happens at all.
func latencyCases() []Case {
	return []Case{{
		name:  "latency_vs_river_default",
		rows:  latencyRows("vs_river_default", 4, 15, 10),
		ours:  latency(oneProcess(storeTransaction)),
		other: latency(riverOneProcess(riverDefault)),
	}, {
		name:  "latency_vs_river_tuned",
		rows:  latencyRows("vs_river_tuned", 4, 15, 0),
		ours:  latency(oneProcess(storeTransaction)),
		other: latency(riverOneProcess(riverTuned)),
	}, {
		name:  "latency_plain_transaction_vs_river_default",
		rows:  latencyRows("plain_transaction_vs_river_default", 4, 15, 10),
		ours:  latency(oneProcess(enqueueGORM)),
		other: latency(riverOneProcess(riverDefault)),
		extra: true,
	}, {
		name:  "latency_apart_vs_river_default",
		rows:  latencyRows("apart_vs_river_default", 0, 0, 0),
		ours:  latency(apart),
		other: latency(riverApart(riverDefault, "river-default")),
	}, {
		name:  "latency_apart_vs_river_tuned",
		rows:  latencyRows("apart_vs_river_tuned", 0, 0, 0),
		ours:  latency(apart),
		other: latency(riverApart(riverTuned, "river-tuned")),
		extra: true,
	}}
}

func latencyRows(suffix string, p50, p99, ratio float64) []row {
	return []row{
		{name: "latency_" + suffix, figure: "p50", unit: "ms p50", cost: true, most: p50, ratio: ratio},
		{name: "latency_p95_" + suffix, figure: "p95", unit: "ms p95", cost: true},
		{name: "latency_p99_" + suffix, figure: "p99", unit: "ms p99", cost: true, most: p99},
		{name: "idle_cpu_" + suffix, figure: "idle", unit: "ms CPU per s, our process", cost: true},
		{name: "idle_cpu_servers_" + suffix, figure: "idle_servers", unit: "ms CPU per s, servers", cost: true},
	}
}

// setup is a running system whose handlers note in w when they start.
type setup struct {
	// commit commits a transaction that inserts an order and enqueues a job.
	commit func(context.Context, Order) error
	// ctx ends when a part of the system fails.
	ctx context.Context //nolint:containedctx // the loops' own, for those who wait for what they do
	// cpu is the CPU time that the system's processes have used.
	cpu func() (time.Duration, error)
	// stop stops it and releases everything.
	stop func(error) error
}

// latency measures a setup: a job that shows that everything is connected, then
// jobs at latencyRate, then nothing.
func latency(begin func(ctx context.Context, env *Env, w *watch) (*setup, error)) side {
	return func(ctx context.Context, env *Env) (f figures, err error) {
		n := int(env.sizes.latency.Seconds() * latencyRate)
		w := newWatch(n)
		s, err := begin(ctx, env, w)
		if err != nil {
			return nil, err
		}
		defer func() { err = s.stop(err) }()
		if err := s.commit(s.ctx, newOrder(0)); err != nil {
			return nil, fmt.Errorf("commit the first job: %w", err)
		}
		if err := await(s.ctx, func() (bool, error) { return w.seen.Load() >= 1, nil }); err != nil {
			return nil, err
		}
		if _, err := env.timed(func() error { return w.pace(s, n, latencyRate) }); err != nil {
			return nil, err
		}
		f = w.figures()
		return f, idle(env, s, f)
	}
}

// idleSettle is how long after the last job it counts as idle.
const idleSettle = 500 * time.Millisecond

// idle measures what s and the servers use up while nothing happens.
func idle(env *Env, s *setup, f figures) error {
	wait := func(d time.Duration) error {
		until := time.Now().Add(d)
		return await(s.ctx, func() (bool, error) { return !time.Now().Before(until), nil })
	}
	if err := wait(idleSettle); err != nil {
		return err
	}
	servers := func() time.Duration {
		return familyCPU(env.servers.postgres) + familyCPU(env.servers.rabbitmq)
	}
	// The servers first: looking at them takes CPU time of our own.
	before, began := servers(), time.Now()
	cpu, err := s.cpu()
	if err != nil {
		return err
	}
	// Not await: its looks would be what is measured.
	select {
	case <-time.After(env.sizes.idle):
	case <-s.ctx.Done():
		return context.Cause(s.ctx)
	}
	seconds := time.Since(began).Seconds()
	after, err := s.cpu()
	if err != nil {
		return err
	}
	perSecond := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) / seconds }
	f["idle"] = perSecond(after - cpu)
	if before > 0 {
		f["idle_servers"] = perSecond(servers() - before)
	}
	return nil
}

// storeTransaction is enqueueGORM with the helper that wakes the dispatcher as
// soon as the transaction has committed.
func storeTransaction(ctx context.Context, a *app, o Order) error {
	return a.store.Transaction(ctx, func(tx *gorm.DB) error {
		if err := tx.Create(rowOf(o)).Error; err != nil {
			return err
		}
		return outbox.Enqueue(ctx, tx, o)
	})
}

// oneProcess is ours with web, dispatcher and worker in this process.
func oneProcess(commit transaction) func(context.Context, *Env, *watch) (*setup, error) {
	return func(ctx context.Context, env *Env, w *watch) (*setup, error) {
		a, err := openOurs(ctx, env.Database, env.AMQP, oursDefault())
		if err != nil {
			return nil, err
		}
		d, errDispatcher := dispatcher.New(a.store, a.broker, a.set.dispatcher)
		jobs, errWorker := a.newWorker(func(o Order) { w.began(o.Number, time.Now()) })
		if err := errors.Join(errDispatcher, errWorker); err != nil {
			return nil, errors.Join(err, a.close())
		}
		l := start(ctx, d.Run, jobs.Run)
		return &setup{
			commit: func(ctx context.Context, o Order) error { return commit(ctx, a, o) },
			ctx:    l.ctx,
			cpu:    processCPU,
			stop:   func(err error) error { return errors.Join(l.end(err), a.close()) },
		}, nil
	}
}

// riverOneProcess is River with web and workers in this process.
func riverOneProcess(config func() *river.Config) func(context.Context, *Env, *watch) (*setup, error) {
	return func(ctx context.Context, env *Env, w *watch) (*setup, error) {
		r, err := openRiver(ctx, env.Database, true, config(), func(o Order) { w.began(o.Number, time.Now()) })
		if err != nil {
			return nil, err
		}
		if err := r.client.Start(ctx); err != nil {
			r.close()
			return nil, fmt.Errorf("start River: %w", err)
		}
		return &setup{
			commit: func(ctx context.Context, o Order) error { return enqueueRiver(ctx, r, o) },
			ctx:    ctx,
			cpu:    processCPU,
			stop: func(err error) error {
				defer r.close()
				return errors.Join(err, r.stop(ctx))
			},
		}, nil
	}
}

// apart is ours with the web here, and dispatcher and worker in processes of
// their own.
func apart(ctx context.Context, env *Env, w *watch) (*setup, error) {
	a, err := openOurs(ctx, env.Database, env.AMQP, oursDefault())
	if err != nil {
		return nil, err
	}
	actors, err := hire(ctx, env, w, "dispatcher", "worker")
	if err != nil {
		return nil, errors.Join(err, a.close())
	}
	return &setup{
		commit: func(ctx context.Context, o Order) error { return enqueueGORM(ctx, a, o) },
		ctx:    actors.loops.ctx,
		cpu:    actors.cpu,
		stop:   func(err error) error { return errors.Join(actors.dismiss(err), a.close()) },
	}, nil
}

// riverApart is River with the web here, and a worker in a process of its own.
func riverApart(config func() *river.Config, role string) func(context.Context, *Env, *watch) (*setup, error) {
	return func(ctx context.Context, env *Env, w *watch) (*setup, error) {
		r, err := openRiver(ctx, env.Database, true, config(), nil)
		if err != nil {
			return nil, err
		}
		actors, err := hire(ctx, env, w, role)
		if err != nil {
			r.close()
			return nil, err
		}
		return &setup{
			commit: func(ctx context.Context, o Order) error { return enqueueRiver(ctx, r, o) },
			ctx:    actors.loops.ctx,
			cpu:    actors.cpu,
			stop: func(err error) error {
				defer r.close()
				return actors.dismiss(err)
			},
		}, nil
	}
}
