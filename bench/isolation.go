package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/dispatcher"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/outbox"
	"github.com/ackbox/ackbox/retry"
	"github.com/ackbox/ackbox/worker"
)

// isolationCases measure what one queue's backlog does to another queue. Both
// sides of each are ours: beside it, and alone.
func isolationCases() []Case {
	return []Case{{
		name: "isolation_vs_alone",
		rows: []row{
			{name: "isolation_vs_alone", figure: "p99", unit: "ms p99", cost: true, most: 60, ratio: 1.0 / 3},
			{name: "isolation_p50_vs_alone", figure: "p50", unit: "ms p50", cost: true},
			{name: "isolation_p95_vs_alone", figure: "p95", unit: "ms p95", cost: true},
		},
		ours:  beside(func(s sizes) int { return s.backlog }),
		other: beside(func(sizes) int { return 0 }),
	}, {
		name: "claim_of_200_queues_vs_1",
		rows: []row{
			{name: "claim_of_200_queues_vs_1", figure: "p99", unit: "ms p99", cost: true, most: 10},
			{name: "claim_p50_of_200_queues_vs_1", figure: "p50", unit: "ms p50", cost: true},
		},
		ours:  claims(200),
		other: claims(1),
	}, {
		name:  "comeback_vs_one_update",
		rows:  []row{{name: "comeback_vs_one_update", figure: "rate", unit: "jobs/s"}},
		ours:  lost(comeback),
		other: lost(oneUpdate),
	}}
}

// The quiet queue, and the one with the backlog.
const quietQueue, bulkQueue = "quiet", "bulk"

// oursOfTwo is Ackbox as it comes, with two queues.
func oursOfTwo() system {
	s := oursDefault()
	s.queues = []string{quietQueue, bulkQueue}
	s.broker.Topology = ackbox.Topology{Queues: []ackbox.Queue{{Name: quietQueue}, {Name: bulkQueue}}}
	s.worker.Queues = []worker.Queue{{Name: quietQueue, Concurrency: 8}, {Name: bulkQueue, Concurrency: 8}}
	return s
}

// beside measures how long after its commit a job of the quiet queue starts,
// while dispatcher and worker of the same process carry a backlog of another
// queue. The backlog has to outlast the measurement.
func beside(backlog func(sizes) int) side {
	return func(ctx context.Context, env *Env) (f figures, err error) {
		a, err := openOurs(ctx, env.Database, env.AMQP, oursOfTwo())
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, a.close()) }()
		if n := backlog(env.sizes); n > 0 {
			if err := a.fillQueues(ctx, env, n, "'"+bulkQueue+"'"); err != nil {
				return nil, err
			}
		}
		n := int(env.sizes.quiet.Seconds() * quietRate)
		w := newWatch(n)
		d, errDispatcher := dispatcher.New(a.store, a.broker, a.set.dispatcher)
		jobs, errWorker := a.newWorker(func(o Order) { w.began(o.Number, time.Now()) })
		if err := errors.Join(errDispatcher, errWorker, a.broker.Ready(ctx)); err != nil {
			return nil, err
		}
		l := start(ctx, d.Run, jobs.Run)
		defer func() { err = l.end(err) }()
		s := &setup{ctx: l.ctx, commit: func(ctx context.Context, o Order) error {
			return a.store.Transaction(ctx, func(tx *gorm.DB) error {
				return outbox.Enqueue(ctx, tx, o, outbox.Queue(quietQueue))
			})
		}}
		if err := s.commit(l.ctx, newOrder(0)); err != nil {
			return nil, fmt.Errorf("commit the first job: %w", err)
		}
		if err := await(l.ctx, func() (bool, error) { return w.seen.Load() >= 1, nil }); err != nil {
			return nil, err
		}
		if _, err := env.timed(func() error { return w.pace(s, n, quietRate) }); err != nil {
			return nil, err
		}
		if backlog(env.sizes) > 0 {
			if err := env.outlasted(l.ctx); err != nil {
				return nil, err
			}
		}
		return w.figures(), nil
	}
}

// outlasted fails if the backlog was gone before the measurement ended: then it
// was none.
func (e *Env) outlasted(ctx context.Context) error {
	var left bool
	err := e.db.QueryRow(ctx, `SELECT EXISTS (SELECT FROM ackbox_jobs WHERE state = 'pending' AND queue = '`+bulkQueue+`')`).Scan(&left)
	if err == nil && !left {
		err = errors.New("it was gone before the measurement ended")
	}
	if err != nil {
		return fmt.Errorf("look at the backlog: %w", err)
	}
	return nil
}

// fillQueues writes n due jobs, spread over the last hour, into the queues that
// an SQL expression of their numbers names, and settles.
func (a *app) fillQueues(ctx context.Context, env *Env, n int, queue string) error {
	f, err := newFiller(ctx, env, a, a.store, outbox.DefaultTable)
	if err != nil {
		return err
	}
	varying := map[string]string{
		"id": pendingColumns["id"], "due_at": "s.at", "created_at": "s.at", "queue": queue, "routing_key": queue,
	}
	if err := f.fill(ctx, n, time.Now().Add(-time.Hour), varying, func(string, ...any) {}); err != nil {
		return err
	}
	return env.settle(ctx)
}

// lost measures how fast jobs become publishable again that were all sent an hour
// ago and are in no queue, as after a broker was wiped.
func lost(again func(context.Context, *Env, *app) (int, time.Duration, error)) side {
	return func(ctx context.Context, env *Env) (f figures, err error) {
		a, err := openOurs(ctx, env.Database, env.AMQP, oursDefault())
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, a.close()) }()
		filler, err := newFiller(ctx, env, a, a.store, outbox.DefaultTable)
		if err != nil {
			return nil, err
		}
		varying := map[string]string{
			"id": pendingColumns["id"], "due_at": "s.at", "created_at": "s.at",
			"state": "'sent'", "sent_at": "s.at", "seen_at": "s.at",
		}
		n := env.sizes.backlog
		if err := filler.fill(ctx, n, time.Now().Add(-2*time.Hour), varying, func(string, ...any) {}); err != nil {
			return nil, err
		}
		if err := errors.Join(env.settle(ctx), a.broker.Ready(ctx)); err != nil {
			return nil, err
		}
		var took time.Duration
		_, err = env.timed(func() error {
			var changed int
			changed, took, err = again(ctx, env, a)
			if err == nil && changed != n {
				err = fmt.Errorf("%d jobs came back, want %d", changed, n)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		return figures{"rate": float64(n) / took.Seconds()}, nil
	}
}

// comeback is the resend sweep, from the moment at which it knows that they are
// lost.
func comeback(ctx context.Context, _ *Env, a *app) (int, time.Duration, error) {
	sweeper, err := retry.NewSweeper(a.store, a.broker, retry.Config{StuckAfter: time.Second, Logger: quiet})
	if err != nil {
		return 0, 0, err
	}
	for ctx.Err() == nil {
		began := time.Now()
		if n, err := sweeper.Resend(ctx); n > 0 || err != nil {
			return n, time.Since(began), err
		}
	}
	return 0, 0, ctx.Err()
}

// oneUpdate does the same in one statement, which nothing bounds.
func oneUpdate(ctx context.Context, env *Env, _ *app) (int, time.Duration, error) {
	began := time.Now()
	done, err := env.db.Exec(ctx, `UPDATE ackbox_jobs SET state = 'pending', resend = resend + 1, due_at = now() WHERE state = 'sent'`)
	return int(done.RowsAffected()), time.Since(began), err
}

// claims measures how long a claim takes, from the call, a connection and BEGIN
// included, until the jobs are here, when each of that many queues has a
// backlog. Nothing is published: what was claimed counts as sent.
func claims(queues int) side {
	return func(ctx context.Context, env *Env) (f figures, err error) {
		set := oursDefault()
		for i := range queues {
			set.queues = append(set.queues, fmt.Sprintf("q%03d", i))
		}
		a, err := openOurs(ctx, env.Database, env.AMQP, set)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, a.close()) }()
		total := (env.sizes.claims + 10) * batchSize
		if err := a.fillQueues(ctx, env, total, fmt.Sprintf("('q' || lpad((s.g %% %d)::text, 3, '0'))", queues)); err != nil {
			return nil, err
		}
		t := newTimed(a.store, total)
		_, err = env.timed(func() error {
			for range env.sizes.claims {
				n, err := t.Relay(ctx, core.Claim{Limit: batchSize}, allSent)
				if err != nil || n == 0 {
					return errors.Join(err, fmt.Errorf("a claim had %d jobs", n))
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		ms := make([]float64, len(t.batches))
		for i, b := range t.batches {
			ms[i] = float64(b.claim) / float64(time.Millisecond)
		}
		return figures{"p50": percentile(ms, 50), "p99": percentile(ms, 99)}, nil
	}
}

func allSent(_ context.Context, jobs []ackbox.Job) []core.Transition {
	transitions := make([]core.Transition, len(jobs))
	for i, job := range jobs {
		transitions[i] = core.Transition{ID: job.ID, Attempt: job.Attempt, To: ackbox.Sent}
	}
	return transitions
}
