package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ackbox/ackbox/outbox"
	"github.com/ackbox/ackbox/retry"
)

// samples is how many of them the vacuum step takes.
const samples = 30

// vacuum measures what the dead rows cost that a long transaction keeps from
// being vacuumed, and whether that is over when it is.
func (s *scale) vacuum(ctx context.Context) error {
	return s.within(ctx, func(ctx context.Context, env *Env, a *app) error {
		every := s.options.steady / samples
		sweeper, err := retry.NewSweeper(a.store, a.broker, retry.Config{
			Retention: min(time.Minute, every), DeadRetention: time.Hour, Logger: quiet,
		})
		if err != nil {
			return err
		}
		return flowing(ctx, a, a.store, func(ctx context.Context, f *flow) (err error) {
			long, err := openLong(ctx, env.Database)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, long.close(context.WithoutCancel(ctx))) }()
			began := time.Now()
			v := &vacuuming{scale: s, env: env, flow: f, sweeper: sweeper, last: began}
			for i := 1; i <= samples; i++ {
				if !pause(ctx, time.Until(began.Add(time.Duration(i)*every))) {
					return context.Cause(ctx)
				}
				name := (time.Duration(i) * every).Round(100 * time.Millisecond).String()
				if err := v.sample(ctx, name, long.open); err != nil {
					return err
				}
				if i == samples*4/5 {
					if err := long.end(ctx); err != nil {
						return err
					}
					s.say("the long transaction is over")
				}
			}
			return nil
		})
	})
}

// vacuuming is the vacuum step at work.
type vacuuming struct {
	*scale

	env     *Env
	flow    *flow
	sweeper *retry.Sweeper
	last    time.Time // of the samples
}

// sample sweeps, and reports the table as it is now and what happened since the
// last sample.
func (v *vacuuming) sample(ctx context.Context, name string, open bool) error {
	swept := time.Now()
	purged, err := v.sweeper.Purge(ctx)
	if err != nil { // it is a figure, too
		v.say("the purge failed: %v", err)
	}
	now := time.Now()
	batches, failed := v.flow.claims.all()
	claims := claimsBetween(batches, v.last, now)
	values := []value{
		{"long_transaction", number(open)},
		{"claim_p50_ms", percentile(claims, 50)},
		{"claim_p99_ms", percentile(claims, 99)},
		{"failed_relays", float64(failed)},
		{"purged", float64(purged)},
		{"purge_ms", milliseconds(now.Sub(swept))},
	}
	jobs := v.flow.between(v.last, now)
	values = append(values, value{"jobs_per_s", jobs.rate}, value{"latency_p50_ms", jobs.latency[0]}, value{"latency_p99_ms", jobs.latency[1]},
		value{"commit_p99_ms", jobs.commit[1]})
	v.last = now
	state, err := v.table(ctx)
	if err != nil {
		return err
	}
	v.say("%s: claim p50 %.2f ms, p99 %.2f ms", name, values[1].v, values[2].v)
	return v.report.add(measurement{step: "vacuum", name: name, values: append(values, state...)})
}

func number(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

// table is what PostgreSQL knows about the jobs table and those of its indexes
// that have had something in them.
func (v *vacuuming) table(ctx context.Context) ([]value, error) {
	rows, err := v.env.db.Query(ctx, `SELECT name, v FROM (
	SELECT 1 AS place, 'live_tup' AS name, n_live_tup::float8 AS v FROM pg_stat_user_tables WHERE relname = $1
	UNION ALL SELECT 2, 'dead_tup', n_dead_tup FROM pg_stat_user_tables WHERE relname = $1
	UNION ALL SELECT 3, 'autovacuums', autovacuum_count FROM pg_stat_user_tables WHERE relname = $1
	UNION ALL SELECT 4, 'table_mb', pg_table_size($1::text::regclass) / 1e6
	UNION ALL SELECT 5, replace(indexrelid::regclass::text, $1 || '_', '') || '_mb', pg_relation_size(indexrelid) / 1e6
		FROM pg_index WHERE indrelid = $1::text::regclass AND indexrelid::regclass::text !~ '_(nacked|dead)$'
) AS state ORDER BY place, name`, outbox.DefaultTable)
	if err != nil {
		return nil, fmt.Errorf("read the state of the table: %w", err)
	}
	values, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (r value, err error) {
		err = row.Scan(&r.name, &r.v)
		return r, err
	})
	if err != nil {
		return nil, fmt.Errorf("read the state of the table: %w", err)
	}
	return values, nil
}

// long is a transaction as analytics have it: one query, then open for hours.
type long struct {
	conn *pgx.Conn
	open bool
}

func openLong(ctx context.Context, database string) (*long, error) {
	conn, err := pgx.Connect(ctx, database)
	if err != nil {
		return nil, fmt.Errorf("open a long transaction: %w", err)
	}
	_, err = conn.Exec(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ")
	if err == nil {
		_, err = conn.Exec(ctx, "SELECT count(*) FROM "+outbox.DefaultTable)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open a long transaction: %w", err), conn.Close(context.WithoutCancel(ctx)))
	}
	return &long{conn: conn, open: true}, nil
}

func (l *long) end(ctx context.Context) error {
	l.open = false
	if _, err := l.conn.Exec(ctx, "COMMIT"); err != nil {
		return fmt.Errorf("end the long transaction: %w", err)
	}
	return nil
}

func (l *long) close(ctx context.Context) error { return l.conn.Close(ctx) }
