//go:build unix

package faults_test

import (
	"database/sql"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ackbox/ackbox/internal/integration/shop"
	"github.com/ackbox/ackbox/internal/testenv"
	"github.com/ackbox/ackbox/outbox"
)

// outage lets the shop work, has down spoil the database for its instances
// while handlers run, places more jobs (app's sessions are not spoilt), waits
// until dispatcher and worker have met the fault, and has up end it.
//
// What was placed during the outage must neither be sent nor charged by it;
// what was in a handler's hands may be charged only by the handler itself.
func (s *stage) outage(fault string, lasts time.Duration, down, up func()) {
	s.t.Helper()
	began := time.Now()
	i := s.run()
	s.place(120, shop.Plan{Work: 100 * time.Millisecond})
	s.reaches(20, `SELECT count(*) FROM shop_effects`)
	down()
	s.place(120, shop.Plan{})
	sent := func() int {
		return s.count(`SELECT count(*) FROM ackbox_jobs WHERE state <> 'pending' AND id IN (SELECT job FROM shop_expected WHERE order_id LIKE 'order2-%')`)
	}
	s.logged(s.log.String, "dispatcher: batches fail", fault)
	s.logged(s.log.String, "worker: ", fault)
	s.wait(lasts)
	s.equal("jobs sent during the outage", sent(), 0)
	up()
	audit := s.settled()
	s.equal("jobs placed during the outage that it has cost a try", s.count(`SELECT count(*) FROM ackbox_jobs
		WHERE attempt > 1 AND id IN (SELECT job FROM shop_expected WHERE order_id LIKE 'order2-%')`), 0)
	s.chargedByHandlers()
	s.t.Logf("%+v after %v, tries charged by handlers: %d, dispatcher: %+v, worker: %+v", audit, time.Since(began).Round(time.Millisecond),
		s.count(`SELECT sum(attempt - 1) FROM ackbox_jobs`), i.Dispatcher.Stats(), i.Worker.Stats())
}

// The database is read-only, as a primary is that has become a standby: not
// even a claim is possible, so nothing is published that could not be recorded.
// When it can be written again nobody ends the sessions that were made meanwhile,
// in which it cannot.
func TestReadOnly(t *testing.T) {
	t.Parallel()
	s := newStage(t, marked)
	s.outage("SQLSTATE 25006", 2*time.Second,
		func() {
			s.alter("SET default_transaction_read_only = on")
			s.atLeast("sessions terminated", s.terminate(), 1)
		},
		func() { s.alter("RESET default_transaction_read_only") })
}

// The role of the instances has all its connections used up by others.
func TestOutOfConnections(t *testing.T) {
	t.Parallel()
	var role string
	s := newStage(t, marked, func(cfg *shop.Config) {
		role = ownRole(cfg)
	})
	s.grant(role)
	s.outage("SQLSTATE 53300", 2*time.Second,
		func() {
			s.exec(`ALTER ROLE ` + role + ` CONNECTION LIMIT 0`)
			s.atLeast("sessions terminated", s.terminate(), 1)
		},
		func() { s.exec(`ALTER ROLE ` + role + ` CONNECTION LIMIT -1`) })
}

// The jobs table is locked by somebody's DDL, for longer than any statement may
// take. The deadline is ours, or PostgreSQL's own.
func TestTableLocked(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ setting, fault string }{
		"own deadline":      {"", "deadline exceeded"},
		"statement_timeout": {"SET statement_timeout = '100ms'", "SQLSTATE 57014"},
		"lock_timeout":      {"SET lock_timeout = '100ms'", "SQLSTATE 55P03"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			if c.setting != "" {
				s.alter(c.setting)
			}
			s.run()
			s.place(120, shop.Plan{Work: 100 * time.Millisecond})
			s.reaches(20, `SELECT count(*) FROM shop_effects`)

			tx := s.db.WithContext(s.ctx).Begin()
			t.Cleanup(func() { tx.Rollback() }) // if it has not ended by then
			s.must("wait without limit", tx.Exec(`SET LOCAL lock_timeout = 0; SET LOCAL statement_timeout = 0`).Error)
			s.must("lock the table", tx.Exec(`LOCK TABLE ackbox_jobs IN ACCESS EXCLUSIVE MODE`).Error)
			s.wait(5 * time.Second)
			s.must("unlock the table", tx.Rollback().Error)

			for _, loop := range []string{"dispatcher: batches fail", "worker: ", "retry: a sweep failed"} {
				s.logged(s.log.String, loop, c.fault)
			}
			audit := s.settled()
			s.chargedByHandlers()
			t.Logf("%+v, tries charged by handlers: %d", audit, s.count(`SELECT sum(attempt - 1) FROM ackbox_jobs`))
		})
	}
}

// Everything runs at a stricter isolation level than it was written for,
// business code and handlers included: they meet serialization failures, and
// nothing is lost or done twice by them.
func TestStricterIsolation(t *testing.T) {
	t.Parallel()
	for level, isolation := range map[string]sql.IsolationLevel{
		"repeatable read": sql.LevelRepeatableRead, "serializable": sql.LevelSerializable,
	} {
		t.Run(strings.ReplaceAll(level, " ", "_"), func(t *testing.T) {
			t.Parallel()
			var role string
			s := newStage(t, func(cfg *shop.Config) { role = ownRole(cfg) })
			s.grant(role)
			// For the instances' role, so that the audit, which reads everything all
			// the time, takes no part in the conflicts.
			s.exec(`ALTER ROLE ` + role + ` SET default_transaction_isolation = '` + level + `'`)
			d := s.run(dispatcherOnly)
			w := s.run(workerOnly, func(cfg *shop.Config) { cfg.AMQPURL = testenv.AMQPURL(t) })
			var got string
			s.must("ask for the level", w.DB.WithContext(s.ctx).Raw(`SHOW transaction_isolation`).Scan(&got).Error)
			if got != level {
				t.Fatalf("the instances' transactions are at level %q, want %q", got, level)
			}
			// One in Complete is nobody's failure: the handler runs again for the same try.
			failures := func() int {
				return s.count(`SELECT count(*) FROM ackbox_jobs AS j WHERE history::text LIKE '%SQLSTATE 40001%'
					OR (SELECT count(*) FROM shop_runs AS r WHERE r.job = j.id) > 1`)
			}
			// A worker that is quicker than the dispatcher's commit takes its snapshot
			// before it, so its Complete is a serialization failure.
			s.must("slow the dispatcher's way to the broker", s.toRabbitMQ.Slow(20*time.Millisecond, 0))
			again, orders := 0, 0
			s.eventually("a handler's transaction has met a serialization failure", func() error {
				if failures() == 0 {
					again, orders = again+s.placeBeside(4, 2, isolation), orders+8
					return errors.New("none has")
				}
				return nil
			})
			s.must("heal it", s.toRabbitMQ.Heal())
			again, orders = again+s.placeBeside(4, 20, isolation), orders+80
			audit := s.settled()
			s.equal("orders", audit.Orders, orders)
			s.chargedByHandlers()
			t.Logf("%+v, orders placed again: %d, handlers' serialization failures: %d, dispatcher: %+v, worker: %+v",
				audit, again, failures(), d.Dispatcher.Stats(), w.Worker.Stats())
		})
	}
}

// placeBeside places n orders from each of several goroutines; a transaction
// that fails to serialize is tried again, as business code at such a level does.
func (s *stage) placeBeside(goroutines, n int, level sql.IsolationLevel) (again int) {
	s.t.Helper()
	results := make(chan result)
	for range goroutines {
		go func() {
			var r result
			for range n {
				o := shop.Order{ID: outbox.NewID(), Charges: []shop.Plan{{}}}
				for r.err = s.placeOne(o, level); r.err != nil && strings.Contains(r.err.Error(), "SQLSTATE 40001"); r.err = s.placeOne(o, level) {
					r.again++
				}
				if r.err != nil {
					break
				}
			}
			results <- r
		}()
	}
	for range goroutines {
		r := <-results
		if r.err != nil {
			s.t.Errorf("place an order: %v", r.err)
		}
		again += r.again
	}
	return again
}

type result struct {
	again int
	err   error
}

func (s *stage) placeOne(o shop.Order, level sql.IsolationLevel) error {
	tx := s.db.WithContext(s.ctx).Begin(&sql.TxOptions{Isolation: level})
	defer tx.Rollback() // after Commit it does nothing
	if err := s.app.Place(s.ctx, tx, o); err != nil {
		return err
	}
	return tx.Commit().Error
}
