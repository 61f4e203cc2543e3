//go:build unix

package faults_test

import (
	"fmt"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/integration/shop"
	"github.com/ackbox/ackbox/internal/testenv"
)

// A stranger publishes every message five times more, with the same id and
// headers, and the copies run in two worker processes at once: each says that
// it is the first. Complete lets one of them have its effect.
func TestOnceUnderConcurrentCopies(t *testing.T) {
	t.Parallel()
	const jobs, copies = 40, 5
	s := newStage(t)
	s.place(jobs, shop.Plan{Work: 50 * time.Millisecond})
	s.run(dispatcherOnly)
	s.reaches(jobs, `SELECT count(*) FROM ackbox_jobs WHERE state = 'sent'`)
	for range copies {
		s.publishCopies()
	}
	s.equal("messages in the queue", s.queued(), jobs*(1+copies))
	for i := range 2 {
		s.process(workerOnlyAs(fmt.Sprint("worker", i)))
	}
	audit := s.settled()
	s.eventually("every copy is settled", func() error {
		if n := s.queued(); n > 0 {
			return fmt.Errorf("%d wait", n)
		}
		return nil
	})
	both := s.count(`SELECT count(*) FROM (SELECT job FROM shop_runs GROUP BY job HAVING count(DISTINCT instance) = 2) AS b`)
	s.atLeast("jobs that ran in both processes", both, 1)
	s.atLeast("runs of copies", audit.DuplicateRuns, 1)
	s.equal("effects", s.count(`SELECT count(*) FROM shop_effects`), jobs)
	s.uncharged()
	audit, err := shop.Take(s.ctx, s.db)
	s.must("audit again", err)
	s.must("books", audit.Err())
	t.Logf("%+v, jobs that ran in both processes: %d", audit, both)
}

// publishCopies publishes a copy of every job's message, as a stranger might
// who has kept it.
func (s *stage) publishCopies() {
	s.t.Helper()
	var rows []struct {
		ID, Kind    string
		Payload     []byte
		MaxAttempts int64
	}
	s.must("read the jobs", s.db.WithContext(s.ctx).Raw(`SELECT id::text, kind, payload, max_attempts FROM ackbox_jobs`).Scan(&rows).Error)
	ledger, err := s.app.Store.Identity(s.ctx)
	s.must("read the ledger's identity", err)
	ch := s.stranger()
	s.must("ask for confirms", ch.Confirm(false))
	for _, r := range rows {
		confirm, err := ch.PublishWithDeferredConfirmWithContext(s.ctx, "", shop.Queue, true, false, amqp.Publishing{
			DeliveryMode: amqp.Persistent, MessageId: r.ID, Type: r.Kind, Body: r.Payload,
			Headers: amqp.Table{
				ackbox.HeaderLedger: ledger, ackbox.HeaderAttempt: int64(1),
				ackbox.HeaderMaxAttempts: r.MaxAttempts, ackbox.HeaderResend: int64(0),
			},
		})
		s.must("publish a copy", err)
		if ok, err := confirm.WaitContext(s.ctx); err != nil || !ok {
			s.t.Fatalf("a copy is not confirmed: %v", err)
		}
	}
}

// Every delivery comes again: the connection is closed while handlers run.
func TestOnceUnderRedelivery(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.place(200, shop.Plan{Work: 20 * time.Millisecond})
	w := s.run()
	for _, done := range []int{10, 60, 120} {
		s.reaches(done, `SELECT count(*) FROM shop_effects`)
		testenv.Rabbit(t).CloseConnections(2)
	}
	audit := s.settled()
	s.uncharged()
	s.atLeast("deliveries that came again and were not run", int(w.Worker.Stats().Skipped)+audit.DuplicateRuns, 1)
	t.Logf("%+v, worker: %+v", audit, w.Worker.Stats())
}

// A worker dies after its handler's commit and before anything else: of Consume
// (the first moment at which something is handled), and of FailAction (the
// second). The row is finished by the commit, so the redelivery is dropped.
func TestOnceWhenKilledAfterCommit(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		plan  shop.Plan
		hit   int
		state ackbox.State
	}{
		"Consume":    {shop.Plan{}, 1, ackbox.Done},
		"FailAction": {shop.Plan{Doomed: true}, 2, ackbox.Dead},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, func(cfg *shop.Config) { cfg.Concurrency = 1 })
			s.place(20, c.plan)
			s.run(dispatcherOnly)
			p := s.process(workerOnly, fmt.Sprintf("worker.handled=kill:%d", c.hit))
			s.must("the worker ends", p.Wait(patience))
			if !p.Killed() {
				t.Fatalf("the worker was not killed: %s", p.Log())
			}
			s.equal("effects at the kill", s.count(`SELECT count(*) FROM shop_effects`), 1)
			s.equal("rows finished at the kill", s.count(`SELECT count(*) FROM ackbox_jobs WHERE state = ?`, c.state), 1)
			w := s.run(workerOnly)
			audit := s.settled()
			s.equal("effects", s.count(`SELECT count(*) FROM shop_effects`), 20)
			s.equal("runs", s.count(`SELECT count(*) FROM shop_runs`), 20)
			s.eventually("the finished job has come again and was dropped", func() error {
				if n := w.Worker.Stats().Skipped; n < 1 {
					return fmt.Errorf("%d dropped", n)
				}
				return nil
			})
			s.uncharged()
			t.Logf("%+v, worker: %+v", audit, w.Worker.Stats())
		})
	}
}

// The outcome of FailAction is lost with its worker before its commit: the
// effect is had by the next one, once.
func TestOnceWhenKilledInFailAction(t *testing.T) {
	t.Parallel()
	s := newStage(t, func(cfg *shop.Config) { cfg.Concurrency = 1 })
	s.place(20, shop.Plan{Doomed: true})
	s.run(dispatcherOnly)
	p := s.process(workerOnly, "worker.taken=kill:2") // FailAction is about to be called
	s.must("the worker ends", p.Wait(patience))
	if !p.Killed() {
		t.Fatalf("the worker was not killed: %s", p.Log())
	}
	s.equal("runs at the kill", s.count(`SELECT count(*) FROM shop_runs`), 1)
	s.equal("effects at the kill", s.count(`SELECT count(*) FROM shop_effects`), 0)
	s.run(workerOnly)
	audit := s.settled()
	s.equal("effects", s.count(`SELECT count(*) FROM shop_effects`), 20)
	s.equal("runs of copies", audit.DuplicateRuns, 1)
	s.uncharged()
	t.Logf("%+v", audit)
}
