//go:build unix

package faults_test

import (
	"database/sql"
	"fmt"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/integration/shop"
	"github.com/ackbox/ackbox/internal/testenv"
)

// A dispatcher is killed at each of its moments, with jobs and events in hand.
// All that can come of it is a second copy of what was published and not
// recorded.
func TestDispatcherKilled(t *testing.T) {
	t.Parallel()
	const jobs, events = 60, 20
	for _, c := range []struct {
		point    string
		copies   int // of each message
		finished int // rows that know of it when the dispatcher is dead
	}{
		{"claimed", 1, 0},
		{"published", 2, 0},
		{"settled", 2, 0},
		{"committed", 1, jobs + events},
	} {
		t.Run(c.point, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, func(cfg *shop.Config) { cfg.Batch = 200 }) // so that all are one batch
			heard := s.listen()
			s.place(jobs, shop.Plan{})
			s.placeEvents(events)
			p := s.process(dispatcherOnly, "outbox."+c.point+"=kill:1")
			s.must("the dispatcher ends", p.Wait(patience))
			if !p.Killed() {
				t.Fatalf("the dispatcher was not killed: %s", p.Log())
			}
			s.eventually("PostgreSQL has noticed", func() error {
				if n := s.lockedRows(); n > 0 {
					return fmt.Errorf("%d rows are locked", n)
				}
				return nil
			})
			s.equal("rows recorded as sent", s.count(`SELECT count(*) FROM ackbox_jobs WHERE state = 'sent'`), c.finished)

			s.run(dispatcherOnly)
			s.reaches(jobs+events, `SELECT count(*) FROM ackbox_jobs WHERE state = 'sent'`)
			s.equal("messages in the queue", s.queued(), c.copies*jobs)
			s.run(workerOnly)
			audit := s.settled()
			s.uncharged()
			total, distinct := heard(c.copies * events)
			s.equal("events heard", total, c.copies*events)
			s.equal("different events heard", distinct, events)
			t.Logf("%+v, events heard: %d of %d different ones", audit, total, distinct)
		})
	}
}

// placeEvents commits n events.
func (s *stage) placeEvents(n int) {
	s.t.Helper()
	tx := s.db.WithContext(s.ctx).Begin()
	defer tx.Rollback() // after Commit it does nothing
	for i := range n {
		s.must("place an event", s.app.Place(s.ctx, tx, shop.Order{ID: fmt.Sprint("event", i), Event: true}))
	}
	s.must("commit events", tx.Commit().Error)
}

// listen binds a stranger's queue to the shop's events. What it returns waits
// until at least n were heard, and then a moment for one too many.
func (s *stage) listen() (heard func(n int) (total, distinct int)) {
	s.t.Helper()
	ch := s.stranger()
	s.must("declare the exchange", ch.ExchangeDeclare(shop.Exchange, amqp.ExchangeTopic, true, false, false, false, nil))
	queue, err := ch.QueueDeclare("", false, false, true, false, nil)
	s.must("declare a queue", err)
	s.must("bind it", ch.QueueBind(queue.Name, "#", shop.Exchange, false, nil))
	deliveries, err := ch.ConsumeWithContext(s.ctx, queue.Name, "", true, true, false, false, nil)
	s.must("consume it", err)
	return func(n int) (int, int) {
		ids := make(map[string]bool)
		total, limit := 0, time.After(patience)
		for {
			if total >= n {
				limit = time.After(300 * time.Millisecond)
			}
			select {
			case d := <-deliveries:
				total++
				ids[d.MessageId] = true
			case <-limit:
				return total, len(ids)
			}
		}
	}
}

// stranger is a channel of somebody else's, straight to the broker.
func (s *stage) stranger() *amqp.Channel {
	s.t.Helper()
	conn, err := amqp.Dial(testenv.AMQPURL(s.t))
	s.must("connect to the broker", err)
	s.t.Cleanup(func() { _ = conn.Close() })
	ch, err := conn.Channel()
	s.must("open a channel", err)
	return ch
}

// queued is the number of messages that wait in the shop's queue.
func (s *stage) queued() int {
	s.t.Helper()
	queue, err := s.stranger().QueueDeclarePassive(shop.Queue, true, false, false, false, nil)
	s.must("look at the queue", err)
	return queue.Messages
}

// A worker is killed at each of its moments; the broker hands out again what it
// held. What the ledger knows to be done does not run again.
func TestWorkerKilled(t *testing.T) {
	t.Parallel()
	// An outcome is recorded together with others.
	for point, hit := range map[string]int{"taken": 20, "handled": 20, "recorded": 3} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			for i := range 30 {
				o := shop.Order{ID: fmt.Sprint("order", i), Charges: make([]shop.Plan, 2), Mails: make([]shop.Plan, 2)}
				s.must("place an order", s.placeOne(o, sql.LevelDefault))
			}
			s.run(dispatcherOnly)
			p := s.process(workerOnly, fmt.Sprintf("worker.%s=kill:%d", point, hit))
			s.must("the worker ends", p.Wait(patience))
			if !p.Killed() {
				t.Fatalf("the worker was not killed: %s", p.Log())
			}
			effects := s.count(`SELECT count(*) FROM shop_effects`)
			done := s.count(`SELECT count(*) FROM ackbox_jobs WHERE state = ?`, ackbox.Done)
			w := s.run(workerOnly)
			audit := s.settled()
			s.uncharged()
			s.eventually("the queue is empty", func() error {
				if n := w.Worker.Stats().InHand; n > 0 {
					return fmt.Errorf("%d in hand", n)
				}
				return nil
			})
			again := s.count(`SELECT count(*) - count(DISTINCT job) FROM shop_effects WHERE kind = 'shop.mail'`)
			switch point {
			case "taken": // those before the last had their effect, and maybe no record yet
				s.atMost("mails sent twice", again, hit-1)
			case "handled": // what was in its hands had its effect and no record
				s.atMost("mails sent twice", again, 32)
			case "recorded":
				s.atLeast("jobs done and not acknowledged when the worker died", done, 1)
				s.atLeast("deliveries that were not run again", int(w.Worker.Stats().Skipped), 1)
			}
			t.Logf("%+v, at the kill: %d effects, %d done; mails sent twice: %d, worker: %+v", audit, effects, done, again, w.Worker.Stats())
		})
	}
}
