//go:build unix

package main

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"
)

// perStatement bounds the rows of one INSERT.
const perStatement = 250_000

// jobs are those of a shop that has had a bad day: in 1,000 rows there are 800 that are
// done, 60 given up, 40 events, 30 cancelled, 25 due, 5 for later, 10 nacked, 10 refused and
// 20 sent, a few of which run. They were written over a week, in the order of their ids.
const jobs = `INSERT INTO ackbox_jobs (id, kind, key, queue, exchange, routing_key, mandatory, payload, headers,
	state, due_at, attempt, max_attempts, created_at, sent_at, seen_at, finished_at, refused_at, holder, started_at, last_error, history)
SELECT (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7' || substr(md5(g::text), 1, 3) || '8' || substr(md5(g::text), 4, 15))::uuid,
	'kind.' || r % 40, CASE WHEN g % 2 = 0 THEN 'order:' || g / 8 END,
	CASE WHEN state = 'event' THEN '' ELSE queue END, CASE WHEN state = 'event' THEN 'shop' ELSE '' END, queue, true,
	convert_to('{"order":' || g || ',"lines":"' || repeat(md5(g::text), 5) || '"}', 'UTF8'), '{"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}',
	CASE state WHEN 'event' THEN 'sent' WHEN 'later' THEN 'pending' WHEN 'due' THEN 'pending' WHEN 'runs' THEN 'sent' ELSE state END,
	CASE state WHEN 'later' THEN now() + r * interval '1 second' ELSE at END,
	CASE WHEN state = 'dead' THEN 25 ELSE 1 END, 25, at,
	CASE WHEN state IN ('done', 'event', 'sent', 'runs', 'dead') THEN at + interval '20 ms' END,
	CASE WHEN state IN ('done', 'event', 'sent', 'runs', 'dead') THEN at + interval '20 ms' END,
	CASE WHEN state IN ('done', 'event', 'dead', 'cancelled') THEN at + interval '1 second' END,
	CASE WHEN state IN ('nacked', 'refused') THEN at END,
	CASE WHEN state = 'runs' THEN ('00000000-0000-4000-8000-00000000000' || g % 10)::uuid END,
	CASE WHEN state = 'runs' THEN now() - r * interval '1 second' END,
	CASE WHEN state = 'dead' THEN CASE r % 7 WHEN 0 THEN 'not done within 30s: context deadline exceeded' WHEN 1 THEN 'no such order: ' || g % 500 ELSE 'dial tcp 10.0.0.' || r % 9 || ':443: connect: connection refused' END
		|| E'\nat shop.(*Charge).Consume' || repeat(E'\n\tshop/charge.go:' || r, 20) END,
	CASE WHEN state = 'dead' THEN jsonb_build_array(jsonb_build_object('at', at, 'what', 'given up', 'attempt', 25, 'error', 'connection refused')) END
FROM (
	SELECT g, r, queue, now() - interval '7 days' + ?::float8 * g * interval '1 second' AS at, CASE
		WHEN r < 800 THEN 'done' WHEN r < 860 THEN 'dead' WHEN r < 900 THEN 'event' WHEN r < 930 THEN 'cancelled' WHEN r < 955 THEN 'due'
		WHEN r < 960 THEN 'later' WHEN r < 970 THEN 'nacked' WHEN r < 980 THEN 'refused' WHEN g % 499 = 7 THEN 'runs' ELSE 'sent' END AS state
	FROM (SELECT g, (hashint8(g)::bigint + 2147483648) % 1000 AS r, 'q' || g % 20 AS queue FROM generate_series(?::bigint, ?::bigint) AS g) AS n
) AS s`

func fill(ctx context.Context, db *gorm.DB, rows int) error {
	began := time.Now()
	step := (7 * 24 * time.Hour).Seconds() / float64(rows)
	for from := 0; from < rows; from += perStatement {
		until := min(rows, from+perStatement) - 1
		err := db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
			if err := tx.Exec("SET LOCAL synchronous_commit = off").Error; err != nil {
				return err
			}
			return tx.Exec(jobs, step, from, until).Error
		})
		if err != nil {
			return fmt.Errorf("write rows %d to %d: %w", from, until, err)
		}
	}
	for _, query := range []string{
		`INSERT INTO ackbox_jobs_instances (id, role, host, pid, queues) SELECT ('00000000-0000-4000-8000-00000000000' || n)::uuid, 'worker', 'host', n,
			(SELECT jsonb_agg('q' || q) FROM generate_series(0, 19) AS q) FROM generate_series(0, 9) AS n`,
		`VACUUM ANALYZE ackbox_jobs`,
	} {
		if err := db.WithContext(ctx).Exec(query).Error; err != nil {
			return err
		}
	}
	var size string
	if err := db.WithContext(ctx).Raw("SELECT pg_size_pretty(pg_total_relation_size('ackbox_jobs'))").Scan(&size).Error; err != nil {
		return err
	}
	fmt.Printf("%d jobs written in %.0f s: %s with their indexes\n\n", rows, time.Since(began).Seconds(), size)
	return nil
}
