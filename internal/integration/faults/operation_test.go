//go:build unix

package faults_test

import (
	"testing"

	"github.com/ackbox/ackbox/internal/integration/shop"
	"github.com/ackbox/ackbox/outbox"
)

// The process whose sweeps carry an operation on is killed in the middle of a step: the
// next one goes on where the last whole step has ended, and each job is changed once, also
// those that have died again meanwhile.
func TestOperationSurvivesItsSweeper(t *testing.T) {
	t.Parallel()
	const jobs, step, steps = 5000, 500, 4
	s := newStage(t)
	// Nothing else moves: what is requeued stays in the table.
	s.must("pause", s.app.Store.Pause(s.ctx, shop.Queue, "so that they stay"))
	s.place(jobs, shop.Plan{})
	s.must("kill jobs", s.db.WithContext(s.ctx).Exec(`UPDATE ackbox_jobs SET state = 'dead', finished_at = now(), last_error = 'the bank is away'`).Error)
	op, err := s.app.Store.StartOperation(outbox.By(s.ctx, "ann"), outbox.ActionRequeue, outbox.Filter{Error: "BANK"}, "it is back")
	s.must("start", err)
	s.equal("jobs that it expects", op.Expected.N, jobs)

	p := s.process(dispatcherOnly, "outbox.carried=kill:4")
	s.must("the sweeper ends", p.Wait(patience))
	if !p.Killed() {
		t.Fatalf("the sweeper was not killed: %s", p.Log())
	}
	half, err := s.app.Store.Operation(s.ctx, op.ID)
	s.must("read it", err)
	s.equal("jobs changed when it died, of whole steps", int(half.Changed), step*(steps-1))
	s.equal("that is what is in the table", s.count(`SELECT count(*) FROM ackbox_jobs WHERE state = 'pending'`), step*(steps-1))
	s.equal("it is still running", s.count(`SELECT count(*) FROM ackbox_jobs_operations WHERE state = 'running' AND id = ?`, op.ID), 1)

	const again = 100
	s.must("some die again", s.db.WithContext(s.ctx).Exec(`UPDATE ackbox_jobs SET state = 'dead', finished_at = clock_timestamp() WHERE id IN
		(SELECT id FROM ackbox_jobs WHERE state = 'pending' LIMIT ?)`, again).Error)
	s.run(dispatcherOnly)
	s.reaches(1, `SELECT count(*) FROM ackbox_jobs_operations WHERE state = 'done' AND id = ?`, op.ID)
	whole, err := s.app.Store.Operation(s.ctx, op.ID)
	s.must("read it", err)
	s.equal("jobs changed in all", int(whole.Changed), jobs)
	s.equal("jobs changed once", s.count(`SELECT count(*) FROM ackbox_jobs WHERE attempt = 2 AND jsonb_array_length(history) = 1
		AND history @> jsonb_build_array(jsonb_build_object('what', 'requeued', 'by', 'ann', 'operation', ?::text))`, op.ID), jobs)
	s.equal("jobs that died again", s.count(`SELECT count(*) FROM ackbox_jobs WHERE state = 'dead'`), again)

	_, err = s.app.Store.Requeue(s.ctx, s.ids(`SELECT id::text FROM ackbox_jobs WHERE state = 'dead'`)...)
	s.must("requeue them", err)
	s.must("resume", s.app.Store.Resume(s.ctx, shop.Queue))
	s.run(workerOnly)
	t.Logf("%+v", s.settled())
}

// ids runs a query for ids.
func (s *stage) ids(query string) (ids []string) {
	s.t.Helper()
	s.must(query, s.db.WithContext(s.ctx).Raw(query).Scan(&ids).Error)
	return ids
}
