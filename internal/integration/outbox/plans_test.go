package outbox_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/internal/testenv"
	"github.com/ackbox/ackbox/outbox"
)

type seenQuery = pgx.TraceQueryStartData

// recorder remembers the statements that a pool runs.
type recorder struct {
	mu   sync.Mutex
	seen []seenQuery
	// before, if set, is called before each statement is sent.
	before func(query string)
}

// TraceQueryStart implements pgx.QueryTracer.
func (r *recorder) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen = append(r.seen, data)
	if r.before != nil {
		r.before(data.SQL)
	}
	return ctx
}

// TraceQueryEnd implements pgx.QueryTracer.
func (r *recorder) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// during returns the statements on the jobs table that call runs, but for the
// search for queues, which comes with a claim now and then, what a claim opens with, and
// the records of what people do.
func (r *recorder) during(call func()) []pgx.TraceQueryStartData {
	r.mu.Lock()
	r.seen = nil
	r.mu.Unlock()
	call()
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(r.seen), func(q pgx.TraceQueryStartData) bool {
		return !strings.Contains(q.SQL, "ackbox_jobs") || strings.Contains(q.SQL, seeking) ||
			strings.HasPrefix(q.SQL, opening) || strings.Contains(q.SQL, "ackbox_jobs_operations")
	})
}

// seeking is how the search for queues begins.
const seeking = "WITH RECURSIVE gaps"

// opening is how a claim's transaction begins.
const opening = "SELECT now(), set_config"

// recorded returns a migrated Store whose statements are remembered.
func recorded(t *testing.T, cfg outbox.Config) (*gorm.DB, *outbox.Store, *recorder) {
	t.Helper()
	config, err := pgx.ParseConfig(testenv.DatabaseURL(t))
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{}
	config.Tracer = r
	pool := stdlib.OpenDB(*config)
	db := open(t, postgres.New(postgres.Config{Conn: pool}), 5, gorm.Config{})
	s, err := outbox.NewStore(db, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return db, s, r
}

// The session bound is set for the claim's transaction, and for it alone.
func TestClaimBoundsItsSession(t *testing.T) {
	t.Parallel()
	db, s, r := recorded(t, outbox.Config{WireTimeout: 7 * time.Second, StatementTimeout: 3 * time.Second})
	pool, err := db.DB()
	if err != nil {
		t.Fatal(err)
	}
	pool.SetMaxOpenConns(1)
	var order []string
	for len(order) == 0 || slices.Contains(order, "seek") {
		r.during(func() {
			if _, err := s.Relay(t.Context(), core.Claim{Limit: 1}, nil); err != nil {
				t.Error(err)
			}
		})
		order = nil
		for _, q := range r.seen {
			word := strings.ToLower(strings.Fields(q.SQL)[0])
			if strings.HasPrefix(q.SQL, seeking) {
				word = "seek"
			}
			order = append(order, word)
			if args := fmt.Sprint(q.Args); strings.Contains(q.SQL, "set_config") && !strings.HasSuffix(args, " 10000 3000]") && args != "[10000 3000]" {
				t.Errorf("%s is run with %v, want 10000 and 3000 ms", q.SQL, q.Args)
			}
		}
	}
	if got := strings.Join(order, " "); got != "begin select with rollback" {
		t.Errorf("a claim runs %q", got)
	}
	for _, setting := range []string{"idle_in_transaction_session_timeout", "tcp_user_timeout"} {
		var after string
		if err := db.Raw("SHOW " + setting).Scan(&after).Error; err != nil || after != "0" {
			t.Errorf("after the claim the session's %s is %q, %v", setting, after, err)
		}
	}
}

// Every statement of a loop reads its partial index in the index's order, by a
// plan for its parameters and by a generic one, however large the table is. (A
// limit near the number of all rows that match may be sorted, and rightly so.)
// The statements are those that the Store really runs.
func TestQueryPlans(t *testing.T) {
	t.Parallel()
	db, s, r := recorded(t, outbox.Config{})
	const fill = `INSERT INTO ackbox_jobs (id, kind, queue, exchange, routing_key, mandatory, payload, max_attempts, state, due_at, sent_at, seen_at, finished_at)
		SELECT gen_random_uuid(), 'k', 'q' || n % 3, '', 'q', true, '{}', 9, state, now() + interval '1 hour' * (n % 3 - 1),
			now(), now() - n * interval '1 second', CASE WHEN state IN ('done', 'dead') THEN now() - n * interval '1 second' END
		FROM generate_series(1, 10000) AS n, unnest(ARRAY['pending', 'nacked', 'sent', 'done', 'dead']) AS state`
	run(t, db, fill, "ANALYZE ackbox_jobs")
	var ids []string
	if err := db.Raw("SELECT id FROM ackbox_jobs ORDER BY id LIMIT 256").Scan(&ids).Error; err != nil {
		t.Fatal(err)
	}
	// Requeued, one of q2 would be its only due job, and a claim would top up.
	var one string
	if err := db.Raw("SELECT id FROM ackbox_jobs WHERE queue = 'q0' LIMIT 1").Scan(&one).Error; err != nil {
		t.Fatal(err)
	}
	batch := func(to ackbox.State, text string) []core.Transition {
		transitions := make([]core.Transition, len(ids))
		for i, id := range ids {
			transitions[i] = core.Transition{ID: id, Attempt: 99, To: to, Error: text}
		}
		return transitions
	}
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	const pkey = "ackbox_jobs_pkey"
	for name, tt := range map[string]struct {
		call    func()
		indexes []string // of each statement
		sorted  bool     // a batch of ids may be sorted, nothing else
	}{
		"relay": {func() {
			must(s.Relay(t.Context(), core.Claim{Limit: 256}, func(_ context.Context, jobs []ackbox.Job) []core.Transition {
				out := allSent(jobs)
				for i := range out[:50] {
					out[i].To, out[i].Error = ackbox.Nacked, "no"
				}
				return out
			}))
		}, []string{"ackbox_jobs_pending", pkey, pkey}, true},
		"done":       {func() { must(s.Finish(t.Context(), batch(ackbox.Done, ""))) }, []string{pkey, pkey}, true},
		"dead":       {func() { must(s.Finish(t.Context(), batch(ackbox.Dead, "e"))) }, []string{pkey, pkey}, true},
		"rearm":      {func() { must(s.Rearm(t.Context(), "q1", 100)) }, []string{"ackbox_jobs_nacked"}, false},
		"resend":     {func() { must(s.Resend(t.Context(), "q1", time.Now(), time.Minute, 100)) }, []string{"ackbox_jobs_sent"}, false},
		"purge":      {func() { must(s.Purge(t.Context(), "q1", 24*time.Hour, 100)) }, []string{"ackbox_jobs_finished"}, false},
		"purge dead": {func() { must(s.PurgeDead(t.Context(), 24*time.Hour, 100)) }, []string{"ackbox_jobs_dead"}, false},
		"queues": {func() {
			must(s.NackedQueues(t.Context()))
			must(s.FinishedQueues(t.Context()))
		}, []string{"ackbox_jobs_nacked", "ackbox_jobs_finished"}, false},
		"ages":       {func() { must(s.Ages(t.Context())) }, []string{"ackbox_jobs_sent", "ackbox_jobs_finished"}, false},
		"operations": {func() { must(s.Cancel(t.Context(), one)); must(s.Requeue(t.Context(), one)) }, []string{pkey, pkey}, true},
	} {
		queries := r.during(tt.call)
		if len(queries) != len(tt.indexes) {
			t.Errorf("%s ran %d statements, want %d", name, len(queries), len(tt.indexes))
			continue
		}
		for i, q := range queries {
			for mode, plan := range explain(t, db, q) {
				bad := !strings.Contains(plan, tt.indexes[i]) || strings.Contains(plan, "Seq Scan on ackbox_jobs ")
				if bad || strings.Contains(plan, "Sort") && (!tt.sorted || tt.indexes[i] != pkey) {
					t.Errorf("%s, %s: want %s, no scan of the table and no sort\n%s\n%s", name, mode, tt.indexes[i], q.SQL, plan)
				}
				// For a join with what was picked, newer versions of PostgreSQL may read all.
				if strings.Contains(q.SQL, "picked") && (strings.Contains(plan, "Join") || strings.Contains(plan, "Loop")) {
					t.Errorf("%s, %s: want the rows that were picked looked up by their ids\n%s\n%s", name, mode, q.SQL, plan)
				}
			}
		}
	}
}

// Fifty thousand jobs that are due in the future cost a claim nothing.
func TestClaimPassesOverTheFuture(t *testing.T) {
	t.Parallel()
	db, s, r := recorded(t, outbox.Config{})
	run(t, db, `INSERT INTO ackbox_jobs (id, kind, queue, exchange, routing_key, mandatory, payload, max_attempts, due_at)
		SELECT gen_random_uuid(), 'k', 'default', '', 'default', true, '{}', 9, now() + n * interval '1 minute' FROM generate_series(1, 50000) AS n`,
		"VACUUM ANALYZE ackbox_jobs")
	queries := r.during(func() {
		if n, err := s.Relay(t.Context(), core.Claim{Limit: 256}, nil); n != 0 || err != nil {
			t.Errorf("claimed %d, %v", n, err)
		}
	})
	for mode, plan := range explain(t, db, queries[0]) {
		if strings.Count(plan, "due_at <= now()") != 2 || strings.Contains(plan, "Sort") {
			t.Errorf("%s:\n%s", mode, plan)
		}
	}
	lines := analyze(t, db, queries[0])
	touched := pages(strings.Join(lines, "\n"))
	if touched == 0 || touched > 12 {
		t.Errorf("the claim touched %d pages:\n%s", touched, strings.Join(lines, "\n"))
	}
	t.Logf("a claim with 50,000 jobs due later touches %d pages", touched)
}

func run(t *testing.T, db *gorm.DB, statements ...string) {
	t.Helper()
	for _, statement := range statements {
		if err := db.Exec(statement).Error; err != nil {
			t.Fatal(err)
		}
	}
}

// literals are the arguments of a statement as SQL.
func literals(q pgx.TraceQueryStartData) (args []string) {
	for _, arg := range q.Args { // some are options of the driver
		switch v := arg.(type) {
		case time.Time:
			args = append(args, "'"+v.Format(time.RFC3339Nano)+"'")
		case string:
			args = append(args, "'"+strings.ReplaceAll(v, "'", "''")+"'")
		case int, int64:
			args = append(args, fmt.Sprint(v))
		}
	}
	return args
}

// analyze returns what a statement really does with its arguments.
func analyze(t *testing.T, db *gorm.DB, q pgx.TraceQueryStartData) (lines []string) {
	t.Helper()
	query := q.SQL
	for i, arg := range literals(q) {
		query = strings.ReplaceAll(query, fmt.Sprintf("$%d", i+1), arg)
	}
	if err := db.Raw("EXPLAIN (ANALYZE, BUFFERS, TIMING OFF) " + query).Scan(&lines).Error; err != nil {
		t.Fatal(err)
	}
	return lines
}

// pages are what an analyzed plan says that it touched.
func pages(plan string) int {
	var hit, read int
	if _, rest, ok := strings.Cut(plan, "Buffers: shared "); ok { // the first such line counts for the whole plan
		_, _ = fmt.Sscanf(rest, "hit=%d read=%d", &hit, &read)
	}
	return hit + read
}

// explain returns the plans of a statement, for its arguments and a generic one.
func explain(t *testing.T, db *gorm.DB, q pgx.TraceQueryStartData) map[string]string {
	t.Helper()
	args := literals(q)
	execute := "EXPLAIN EXECUTE probe"
	if len(args) > 0 {
		execute += "(" + strings.Join(args, ", ") + ")"
	}
	plans := make(map[string]string)
	err := db.Connection(func(db *gorm.DB) error {
		conn, ok := db.Statement.ConnPool.(*sql.Conn)
		if !ok {
			return fmt.Errorf("no connection but %T", db.Statement.ConnPool)
		}
		if _, err := conn.ExecContext(t.Context(), "PREPARE probe AS "+q.SQL); err != nil {
			return err
		}
		for _, mode := range []string{"force_custom_plan", "force_generic_plan"} {
			if _, err := conn.ExecContext(t.Context(), "SET plan_cache_mode = "+mode); err != nil {
				return err
			}
			lines, err := readLines(t.Context(), conn, execute)
			if err != nil {
				return err
			}
			plans[mode] = strings.Join(lines, "\n")
		}
		_, err := conn.ExecContext(t.Context(), "RESET plan_cache_mode; DEALLOCATE probe")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return plans
}

func readLines(ctx context.Context, conn *sql.Conn, query string) (lines []string, err error) {
	rows, err := conn.QueryContext(ctx, query, pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			return nil, err
		}
		lines = append(lines, line)
	}
	return lines, rows.Err()
}
