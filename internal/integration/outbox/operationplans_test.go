package outbox_test

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"gorm.io/gorm"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/outbox"
)

// Each step of an operation reads the next rows of an index, in its order and from where
// the one before has ended: neither the table, nor what lies before.
func TestOperationPlans(t *testing.T) {
	t.Parallel()
	db, s, r := recorded(t, outbox.Config{})
	run(t, db, `INSERT INTO ackbox_jobs (id, kind, key, queue, exchange, routing_key, mandatory, payload, max_attempts, state, due_at, sent_at, seen_at, finished_at, created_at)
		SELECT gen_random_uuid(), 'k' || n % 2, 'key:' || n % 5, 'q' || n % 3, '', 'q', true, '{}', 9, state, now() + n * interval '1 second',
			now(), now(), CASE WHEN state IN ('done', 'dead', 'cancelled') THEN now() - n * interval '1 second' END, now() - interval '1 day'
		FROM generate_series(1, 12000) AS n, unnest(ARRAY['pending', 'nacked', 'refused', 'sent', 'done', 'dead', 'cancelled']) AS state`, "VACUUM ANALYZE ackbox_jobs")
	for _, tt := range []struct {
		action outbox.Action
		f      outbox.Filter
		index  string
		sorted string // how far, if not wholly
	}{
		{outbox.ActionRequeue, outbox.Filter{All: true}, "ackbox_jobs_dead", ""},
		{outbox.ActionRequeue, outbox.Filter{Queue: "q1", Kind: "k1", Error: "bank"}, "ackbox_jobs_dead", ""},
		{outbox.ActionRequeue, outbox.Filter{State: ackbox.Cancelled}, "ackbox_jobs_cancelled", ""},
		{outbox.ActionCancel, outbox.Filter{State: ackbox.Pending}, "ackbox_jobs_pending", ""},
		{outbox.ActionCancel, outbox.Filter{State: ackbox.Refused, Queue: "q1"}, "ackbox_jobs_refused", ""},
		{outbox.ActionRunNow, outbox.Filter{Queue: "q2"}, "ackbox_jobs_nacked", ""},
		{outbox.ActionDelete, outbox.Filter{State: ackbox.Done}, "ackbox_jobs_finished", "Presorted Key: queue, finished_at"},
		{outbox.ActionDelete, outbox.Filter{Key: "key:1"}, "ackbox_jobs_key", ""},
	} {
		op, err := s.StartOperation(t.Context(), tt.action, tt.f, "")
		if err != nil {
			t.Fatal(err)
		}
		for step := range 2 {
			queries := r.during(func() {
				if _, _, err := s.CarryOn(t.Context(), 50); err != nil {
					t.Error(err)
				}
			})
			if len(queries) == 0 || len(queries) > 2 {
				t.Errorf("step %d of %s of %+v ran %d statements on jobs", step, tt.action, tt.f, len(queries))
				continue
			}
			plan := explainStep(t, db, queries[0])
			sorted := strings.Contains(plan, "Sort") && (tt.sorted == "" || !strings.Contains(plan, tt.sorted))
			if !strings.Contains(plan, tt.index+" ") || strings.Contains(plan, "Seq Scan") || sorted {
				t.Errorf("step %d of %s of %+v: want %s in its order\n%s\n%s", step, tt.action, tt.f, tt.index, queries[0].SQL, plan)
			}
			if behind := strings.Contains(plan, "Index Cond: ") && (strings.Contains(plan, "ROW(") || strings.Contains(plan, "(id > ")); step > 0 && !behind {
				t.Errorf("step %d of %s of %+v reads what lies before, too\n%s\n%s", step, tt.action, tt.f, queries[0].SQL, plan)
			}
		}
		if err := s.StopOperation(t.Context(), op.ID); err != nil {
			t.Error(err)
		}
	}
}

// explainStep returns the plan of a statement as a step's transaction has it.
func explainStep(t *testing.T, db *gorm.DB, q pgx.TraceQueryStartData) string {
	t.Helper()
	var lines []string
	err := db.Connection(func(db *gorm.DB) error {
		conn, ok := db.Statement.ConnPool.(*sql.Conn)
		if !ok {
			return fmt.Errorf("no connection but %T", db.Statement.ConnPool)
		}
		for _, statement := range []string{
			"SET enable_bitmapscan = off", "SET enable_seqscan = off", "SET plan_cache_mode = force_custom_plan", "PREPARE step AS " + q.SQL,
		} {
			if _, err := conn.ExecContext(t.Context(), statement); err != nil {
				return err
			}
		}
		var err error
		lines, err = readLines(t.Context(), conn, "EXPLAIN EXECUTE step("+strings.Join(literals(q), ", ")+")")
		_, reset := conn.ExecContext(context.WithoutCancel(t.Context()), "DEALLOCATE step; RESET ALL")
		if err == nil {
			err = reset
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}
