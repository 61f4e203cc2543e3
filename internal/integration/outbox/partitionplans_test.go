package outbox_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/outbox"
)

// Over thirty partitions every statement that chooses rows merges the partitions'
// indexes and sorts nothing.
func TestPartitionedQueryPlans(t *testing.T) {
	t.Parallel()
	db, s, r := recorded(t, outbox.Config{Partitioned: true})
	for ago := 1; ago <= 27; ago++ {
		run(t, db, "CREATE TABLE "+nameOf(ago)+" PARTITION OF ackbox_jobs"+bounds(today().AddDate(0, 0, -ago)))
	}
	run(t, db, fmt.Sprintf(`INSERT INTO ackbox_jobs (id, kind, queue, exchange, routing_key, mandatory, payload, max_attempts, state, due_at, sent_at, seen_at, finished_at)
		SELECT (left(rpad(lpad(to_hex((extract(epoch FROM '%s'::timestamptz - n %% 30 * interval '1 day') * 1000)::bigint), 12, '0'), 20, '0'), 20) || left(md5(state || n), 12))::uuid,
			'k', 'q' || n %% 3, '', 'q', true, '{}', 9, state, now() + interval '1 hour' * (n %% 3 - 1),
			now(), now() - n * interval '1 second', CASE WHEN state IN ('done', 'dead') THEN now() - n * interval '1 second' END
		FROM generate_series(1, 10000) AS n, unnest(ARRAY['pending', 'nacked', 'sent', 'done', 'dead']) AS state`, today().Format(time.RFC3339)), "ANALYZE ackbox_jobs")
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	var relayed pgx.TraceQueryStartData
	for name, tt := range map[string]struct {
		call   func()
		merged []int // its statements that choose rows in an order
	}{
		"relay":  {func() { must(s.Relay(t.Context(), core.Claim{Limit: 256}, allSentIn)) }, []int{0}},
		"rearm":  {func() { must(s.Rearm(t.Context(), "q1", 100)) }, []int{0}},
		"resend": {func() { must(s.Resend(t.Context(), "q1", time.Now(), time.Minute, 100)) }, []int{0}},
		"purge":  {func() { must(s.PurgeDead(t.Context(), time.Minute, 100)) }, []int{0}},
		"ages":   {func() { must(s.Ages(t.Context())) }, []int{0, 1}},
	} {
		queries := r.during(tt.call)
		for _, i := range tt.merged {
			for mode, plan := range explain(t, db, queries[i]) {
				if !strings.Contains(plan, "Merge Append") || strings.Contains(plan, "Sort  (") {
					t.Errorf("%s, %s: want the partitions' indexes merged, and no sort\n%s\n%s", name, mode, queries[i].SQL, plan)
				}
			}
		}
		if name == "relay" {
			relayed = queries[1]
		}
	}
	// The batch's ids are of one day; the others are not looked into.
	if plan := explain(t, db, relayed)["force_custom_plan"]; strings.Count(plan, "Update on ackbox_jobs_p") != 1 {
		t.Errorf("marking a day's batch looks into more than its partition:\n%s\n%s", relayed.SQL, plan)
	}
}
