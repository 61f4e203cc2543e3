//go:build unix

package faults_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/ackbox/ackbox/internal/integration/shop"
)

// An administrator restarts PostgreSQL while two batches are on the wire: the
// broker has them, their rows can no longer be told.
func TestPostgresRestartedMidClaim(t *testing.T) {
	s := newStage(t)
	restarts(s)
	d := s.run(dispatcherOnly)
	s.place(1, shop.Plan{})
	s.reaches(1, `SELECT count(*) FROM ackbox_jobs WHERE state = 'sent'`)

	s.toRabbitMQ.Freeze() // so that the batches are surely under way
	s.place(400, shop.Plan{})
	s.eventually("two batches are claimed", func() error {
		if n := s.lockedRows(); n < 200 {
			return fmt.Errorf("%d rows are locked", n)
		}
		return nil
	})
	s.must("stop PostgreSQL", ground.Postgres.Stop(s.ctx))
	s.toRabbitMQ.Thaw()
	s.logged(s.log.String, "batches fail")
	s.must("start PostgreSQL", ground.Postgres.Start(s.ctx))
	s.fresh()
	s.reaches(401, `SELECT count(*) FROM ackbox_jobs WHERE state = 'sent'`)
	copies := s.queued() - 401
	s.atLeast("copies of what was on the wire", copies, 1)
	s.atMost("copies of what was on the wire", copies, 200)
	s.run(workerOnly)
	audit := s.settled()
	s.uncharged()
	t.Logf("%+v, copies: %d, dispatcher: %+v", audit, copies, d.Dispatcher.Stats())
}

// PostgreSQL is killed at the worst moment: the broker has confirmed a batch,
// the UPDATE has not been sent.
func TestPostgresKilledBetweenConfirmAndUpdate(t *testing.T) {
	const batch = 100 // all there is: the dispatcher's other lane has nothing to do
	s := newStage(t)
	restarts(s)
	s.place(batch, shop.Plan{})
	p := s.process(dispatcherOnly, "outbox.published=stop:1")
	s.must("the dispatcher has published", p.Frozen(s.ctx))
	s.must("kill PostgreSQL", ground.Postgres.Kill(s.ctx))
	s.must("start PostgreSQL", ground.Postgres.Start(s.ctx))
	s.fresh()
	s.equal("jobs that are not pending after recovery", s.count(`SELECT count(*) FROM ackbox_jobs WHERE state <> 'pending'`), 0)
	s.must("thaw the dispatcher", p.Thaw())
	s.logged(p.Log, "batches fail")
	s.reaches(batch, `SELECT count(*) FROM ackbox_jobs WHERE state = 'sent'`)
	s.equal("messages in the queue: each was published twice", s.queued(), 2*batch)
	s.run(workerOnly)
	audit := s.settled()
	s.uncharged()
	t.Logf("%+v", audit)
}

// PostgreSQL is killed again and again while everything works.
func TestPostgresKilledAtWork(t *testing.T) {
	s := newStage(t)
	restarts(s)
	s.place(300, shop.Plan{})
	s.process(nil)
	for _, done := range []int{50, 150} {
		s.reaches(done, `SELECT count(*) FROM shop_effects`)
		s.must("kill PostgreSQL", ground.Postgres.Kill(s.ctx))
		s.must("start PostgreSQL", ground.Postgres.Start(s.ctx))
		s.fresh()
	}
	audit := s.settled()
	s.chargedByHandlers()
	t.Logf("%+v, tries charged: %d", audit, s.count(`SELECT sum(attempt - 1) FROM ackbox_jobs`))
}

// PostgreSQL stops answering, without ending a connection, for longer than any
// statement may take.
func TestPostgresFrozen(t *testing.T) {
	// The claim's BEGIN has the whole transaction's deadline: two statements and
	// the wire.
	s := newStage(t, func(cfg *shop.Config) { cfg.Wire = 2500 * time.Millisecond })
	t.Cleanup(func() {
		if err := ground.Postgres.Thaw(); err != nil {
			t.Error(err)
		}
	})
	s.place(1, shop.Plan{})
	d, w := s.run(dispatcherOnly), s.run(workerOnly)
	s.settled()
	s.must("freeze PostgreSQL", ground.Postgres.Freeze())
	s.logged(s.log.String, "batches fail", "deadline")
	s.must("thaw PostgreSQL", ground.Postgres.Thaw())
	s.fresh()
	s.place(200, shop.Plan{})
	audit := s.settled()
	s.uncharged()
	t.Logf("%+v, dispatcher: %+v, worker: %+v", audit, d.Dispatcher.Stats(), w.Worker.Stats())
}

// restarts sees to it that PostgreSQL runs when the test is over.
func restarts(s *stage) {
	s.t.Cleanup(func() {
		if err := ground.Postgres.Start(context.WithoutCancel(s.ctx)); err != nil {
			s.t.Errorf("start PostgreSQL again: %v", err)
		}
	})
}
