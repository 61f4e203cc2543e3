package main

import (
	"context"
	"errors"
	"time"
)

// drainCases measure a backlog that is handled and marked done by one process,
// and what that costs per job.
func drainCases() []Case {
	return []Case{{
		name:  "drain_vs_river_default",
		rows:  drainRows("river_default", 2.0),
		ours:  drain(oursDefault),
		other: drainRiver(riverDefault, func(s sizes) int { return s.drainSlow }),
	}, {
		name:  "drain_vs_river_wide",
		rows:  drainRows("river_wide", 2.0),
		ours:  drain(oursWide),
		other: drainRiver(riverWide, func(s sizes) int { return s.drain }),
		extra: true,
	}, {
		name:  "drain_vs_river_tuned",
		rows:  drainRows("river_tuned", 1.0),
		ours:  drain(oursTuned),
		other: drainRiver(riverTuned, func(s sizes) int { return s.drain }),
	}}
}

func drainRows(peer string, bound float64) []row {
	return []row{
		{name: "drain_vs_" + peer, figure: "rate", unit: "jobs/s", ratio: bound},
		{name: "cpu_per_job_vs_" + peer, figure: "cpu", unit: "µs of our process", cost: true},
		{name: "cpu_per_job_postgres_vs_" + peer, figure: "postgres_cpu", unit: "µs of PostgreSQL", cost: true},
		{name: "cpu_per_job_rabbitmq_vs_" + peer, figure: "rabbitmq_cpu", unit: "µs of RabbitMQ", cost: true},
		{name: "cpu_per_job_total_vs_" + peer, figure: "total_cpu", unit: "µs in all", cost: true},
		{name: "allocs_per_job_vs_" + peer, figure: "allocs", unit: "objects", cost: true},
		{name: "bytes_wal_per_job_vs_" + peer, figure: "wal", unit: "bytes", cost: true},
	}
}

// drain measures ours, from the start of dispatcher and worker, connecting to
// the broker included, until the last row is done.
func drain(set func() system) side {
	return func(ctx context.Context, env *Env) (f figures, err error) {
		a, err := openOurs(ctx, env.Database, env.AMQP, set())
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, a.close()) }()
		n := env.sizes.drain
		if err := a.backlog(ctx, env, n); err != nil {
			return nil, err
		}
		return drained(ctx, env, n, func(over func() error) error { return a.drain(ctx, env, n, over) },
			`SELECT count(*) FROM ackbox_jobs WHERE state = 'done'`)
	}
}

// drained measures what do does until it calls over, and checks with count
// that n rows are done. What do does after that, stopping, is not measured.
func drained(ctx context.Context, env *Env, n int, do func(over func() error) error, count string) (figures, error) {
	f := figures{}
	_, err := env.timed(func() error {
		costs, err := env.newMeter(ctx)
		if err != nil {
			return err
		}
		began := time.Now()
		return do(func() error {
			f["rate"] = float64(n) / time.Since(began).Seconds()
			return costs.add(ctx, f, n)
		})
	})
	if err != nil {
		return nil, err
	}
	return f, env.expect(ctx, n, count)
}
