package outbox_test

import (
	"testing"
	"time"

	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/outbox"
)

// While a long transaction keeps all that the living have ever had in hand in the index
// of holders, the dead are still noticed, at a cost that leaves room for it every 3 s.
func TestTakeBackBesideALongTransaction(t *testing.T) {
	t.Parallel()
	db, s, _ := recorded(t, outbox.Config{})
	long := db.Begin()
	defer long.Rollback()
	run(t, long, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "SELECT count(*) FROM ackbox_jobs")
	const passed, holders = 200_000, 20
	for range holders {
		beating(t, s)
	}
	jobsIn(t, db, "default", "sent", passed, 3600)
	run(t, db, `UPDATE ackbox_jobs AS j SET holder = i.id, starts = 1, started_at = now()
			FROM (SELECT id, row_number() OVER () AS n FROM ackbox_jobs) AS k
			JOIN (SELECT id, row_number() OVER () AS n FROM ackbox_jobs_instances) AS i ON k.n % 20 + 1 = i.n WHERE j.id = k.id`,
		"UPDATE ackbox_jobs SET state = 'done', finished_at = now()", "ANALYZE ackbox_jobs")
	dead := beating(t, s)
	jobsIn(t, db, "default", "sent", 3, 10)
	run(t, db, "UPDATE ackbox_jobs SET holder = '"+dead+"', starts = 1, started_at = now() WHERE state = 'sent'",
		"UPDATE ackbox_jobs_instances SET since = now() - interval '1 hour', seen_at = now()",
		"UPDATE ackbox_jobs_instances SET seen_at = now() - interval '1 minute' WHERE id = '"+dead+"'")
	for _, want := range []int{3, 0, 0} {
		began := time.Now()
		n, err := s.TakeBack(t.Context(), 100)
		took := time.Since(began)
		if n != want || err != nil {
			t.Errorf("took back %d, %v, want %d", n, err, want)
		}
		if took > core.BeatInterval/2 {
			t.Errorf("that took %v", took)
		}
		t.Logf("%d of %d holders, beside %d dead entries, in %v", n, holders+1, passed, took)
	}
}
