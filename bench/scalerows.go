package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"gorm.io/gorm"

	"github.com/ackbox/ackbox/outbox"
)

// filler writes very many rows within PostgreSQL, with the columns of a job that
// the store has written.
type filler struct {
	env     *Env
	table   string
	columns []string
}

// templateTable holds that one job.
const templateTable = "bench_template"

// newFiller has a job enqueued in the store's table, which is empty, and moves
// it aside.
func newFiller(ctx context.Context, env *Env, a *app, store *outbox.Store, table string) (*filler, error) {
	err := a.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		return store.EnqueueAll(ctx, tx, outbox.Item{Args: newOrder(0)})
	})
	if err != nil {
		return nil, fmt.Errorf("enqueue a job to copy: %w", err)
	}
	for _, statement := range []string{
		"CREATE TABLE " + templateTable + " AS SELECT * FROM " + table,
		"TRUNCATE " + table,
	} {
		if _, err := env.db.Exec(ctx, statement); err != nil {
			return nil, fmt.Errorf("move the job to copy aside: %w", err)
		}
	}
	rows, err := env.db.Query(ctx, `SELECT attname::text FROM pg_attribute
WHERE attrelid = '`+templateTable+`'::regclass AND attnum > 0 ORDER BY attnum`)
	if err != nil {
		return nil, fmt.Errorf("read the columns of a job: %w", err)
	}
	columns, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("read the columns of a job: %w", err)
	}
	return &filler{env: env, table: table, columns: columns}, nil
}

// Expressions for the columns in which rows differ, in terms of s.g, a row's
// number, and s.at, its time. The id is a UUID version 7 as outbox.NewID's are:
// milliseconds, then what looks random.
var (
	pendingColumns = map[string]string{
		"id": `(lpad(to_hex((extract(epoch FROM s.at) * 1000)::bigint), 12, '0')
	|| '7' || substr(md5(s.g::text), 1, 3) || 'a' || substr(md5(s.g::text), 4, 15))::uuid`,
		"due_at": "s.at", "created_at": "s.at",
	}
	doneColumns = map[string]string{
		"id": pendingColumns["id"], "due_at": "s.at", "created_at": "s.at",
		"state": "'done'", "sent_at": "s.at", "seen_at": "s.at", "finished_at": "s.at",
	}
)

// fillStatement inserts the rows numbered from $2 to $3, each $4 after the one
// before it, from $1 on.
func fillStatement(table string, columns []string, varying map[string]string) string {
	values := make([]string, len(columns))
	for i, c := range columns {
		values[i] = "t." + c
		if expression, ok := varying[c]; ok {
			values[i] = expression
		}
	}
	return fmt.Sprintf(`INSERT INTO %s (%s)
SELECT %s
FROM %s AS t CROSS JOIN (
	SELECT g, $1::timestamptz + g::float8 * $4::interval AS at FROM generate_series($2::bigint, $3::bigint) AS g
) AS s`, table, strings.Join(columns, ", "), strings.Join(values, ", "), templateTable)
}

// minutes is how many parts an hour's rows are written in.
const minutes = 60

// fill writes n rows that are spread over an hour from from on. Statistics are
// what autovacuum would leave behind in that hour: it looks each minute, and
// reads them anew where a twentieth of the table is new.
func (f *filler) fill(ctx context.Context, n int, from time.Time, varying map[string]string, say func(string, ...any)) error {
	statement := fillStatement(f.table, f.columns, varying)
	step := time.Hour / time.Duration(n)
	analyzed := 0
	for minute := 1; minute <= minutes; minute++ {
		first, last := n*(minute-1)/minutes, n*minute/minutes
		if _, err := f.env.db.Exec(ctx, statement, from, first, last-1, step); err != nil {
			return fmt.Errorf("write rows: %w", err)
		}
		if stale(analyzed, last) {
			if _, err := f.env.db.Exec(ctx, "ANALYZE "+f.table); err != nil {
				return fmt.Errorf("analyse: %w", err)
			}
			analyzed = last
		}
		if minute%10 == 0 {
			say("%d of %d rows are there", last, n)
		}
	}
	return nil
}

// stale reports whether autovacuum would analyse a table of rows rows that it
// has analysed at fewer: our autovacuum_analyze_scale_factor is 0.05, and 50 is
// PostgreSQL's threshold.
func stale(analyzed, rows int) bool {
	return rows-analyzed > 50+analyzed/20
}

// checkpoint has what was prepared written out, so that no measurement pays for it.
func (e *Env) checkpoint(ctx context.Context) error {
	if _, err := e.db.Exec(ctx, "CHECKPOINT"); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	return nil
}

// filled reports how long rows took to write, and what they take up. It means
// nothing but the size of what is measured after it.
func (s *scale) filled(ctx context.Context, f *filler, step, name string, took time.Duration) error {
	var table, indexes float64
	err := f.env.db.QueryRow(ctx, `SELECT sum(pg_table_size(relid))::float8 / 1e6, sum(pg_indexes_size(relid))::float8 / 1e6
FROM (SELECT $1::text::regclass AS relid UNION SELECT relid FROM pg_partition_tree($1::text::regclass)) AS tables`, f.table).Scan(&table, &indexes)
	if err != nil {
		return fmt.Errorf("read the size of %s: %w", f.table, err)
	}
	return s.report.add(measurement{step: step, name: "prepared " + name, values: []value{
		{"prepare_s", took.Seconds()}, {"table_mb", table}, {"indexes_mb", indexes},
	}})
}
