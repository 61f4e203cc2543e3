//go:build unix

package faults_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/ackbox/ackbox/internal/integration/shop"
	"github.com/ackbox/ackbox/internal/testenv"
	"github.com/ackbox/ackbox/outbox"
)

// Somebody deletes the exchange that events go to. The next batch with one in it
// makes it anew, on the same connection; the batch's jobs come to no harm.
func TestExchangeDeleted(t *testing.T) {
	t.Parallel()
	s := newBrokerStage(t)
	i := s.run()
	order := func(id string) {
		s.must("place an order", s.db.WithContext(s.ctx).Transaction(func(tx *gorm.DB) error {
			return s.app.Place(s.ctx, tx, shop.Order{ID: id, Charges: make([]shop.Plan, 20), Event: true})
		}))
	}
	order("before")
	s.settled()
	for n := range 3 {
		testenv.Rabbit(t).DeleteExchange(shop.Exchange)
		order(fmt.Sprint("after", n))
		s.settled()
		// It is there: this fails if it is not.
		s.must("look for the exchange", s.channel().ExchangeDeclarePassive(shop.Exchange, "topic", true, false, false, false, nil))
	}
	audit := s.settled()
	s.uncharged()
	if n := s.toRabbitMQ.Accepted(); n != 3 {
		t.Errorf("%d connections were made, want the first three to do", n)
	}
	s.report(audit, i)
}

// The exchange that jobs go through loses its binding to their queue: the
// broker confirms such messages, and returns them. They are not sent, their
// neighbours are, and as soon as there is a binding they are sent as well.
func TestUnroutable(t *testing.T) {
	t.Parallel()
	s := newBrokerStage(t)
	i := s.run()
	s.place(1, shop.Plan{})
	s.settled()
	const jobs = 20
	via := s.placeAs(jobs, shop.Plan{}, outbox.Via(shop.Exchange, "charges"))
	s.place(jobs, shop.Plan{}) // neighbours
	s.reaches(1+jobs, allEffects)
	s.reaches(jobs, `SELECT count(*) FROM ackbox_jobs WHERE publish_attempt >= 2 AND attempt = 1 AND sent_at IS NULL
		AND last_error LIKE 'publish %: returned by the broker: no queue is bound for exchange "shop.events" and routing key "charges" (312 NO_ROUTE)'
		AND id IN ?`, via)
	if s.logged("dispatcher: the broker refused jobs", "NO_ROUTE") == 0 {
		t.Error("nobody is told")
	}
	if n := s.count(allEffects); n != 1+jobs {
		t.Errorf("%d effects, want those of the neighbours, %d", n, 1+jobs)
	}
	s.must("bind the queue", s.channel().QueueBind(shop.Queue, "charges", shop.Exchange, false, nil))
	audit := s.settled()
	s.unrefused()
	if refused := i.Dispatcher.Stats().Refused; refused < 2*jobs {
		t.Errorf("%d were refused, want %d at least", refused, 2*jobs)
	}
	s.report(audit, i)
}

// The queue itself is gone: what comes back makes the dispatcher declare it.
func TestQueueMissing(t *testing.T) {
	t.Parallel()
	s := newBrokerStage(t)
	i := s.run(dispatcherOnly)
	s.must("connect", i.Broker.Ready(s.ctx))
	testenv.Rabbit(t).DeleteQueue(shop.Queue)
	const jobs = 50
	s.place(jobs, shop.Plan{})
	s.reaches(1, `SELECT count(*) FROM ackbox_jobs WHERE publish_attempt = 1 AND attempt = 1 AND last_error LIKE '%NO_ROUTE%'`)
	s.reaches(jobs, allSent) // one try later it was there
	if q := s.queue(s.channel()); q.Messages != jobs {
		t.Errorf("%d messages are in the queue, want %d", q.Messages, jobs)
	}
	worker := s.run(workerOnly)
	audit := s.settled()
	s.unrefused()
	if audit.Resent+audit.DuplicateRuns > 0 {
		t.Errorf("%d were sent again, %d ran again", audit.Resent, audit.DuplicateRuns)
	}
	s.report(audit, i, worker)
}

// The queue is full: an operator's policy bounds it, and the broker refuses
// what goes beyond. That is refused with backoff until there is room.
func TestQueueFull(t *testing.T) {
	t.Parallel()
	s := newBrokerStage(t)
	const room, jobs = 40, 200
	s.manage(http.MethodPut, map[string]any{
		"pattern": "^shop$", "apply-to": "queues", "definition": map[string]any{"max-length": room, "overflow": "reject-publish"},
	}, "policies", s.vhost(), "full")
	dispatcher := s.run(dispatcherOnly, func(cfg *shop.Config) { cfg.Batch = 20 })
	s.place(jobs, shop.Plan{})
	s.reaches(1, `SELECT count(*) FROM ackbox_jobs WHERE publish_attempt >= 2 AND attempt = 1
		AND last_error LIKE 'publish %: nacked by the broker: the broker refused the message (basic.nack)%'`)
	sent, refused := s.count(allSent), s.count(`SELECT count(*) FROM ackbox_jobs WHERE publish_attempt > 0`)
	if sent < room || sent+refused != jobs || refused == 0 {
		t.Errorf("%d sent and %d refused of %d, with room for %d", sent, refused, jobs, room)
	}
	if s.logged("dispatcher: the broker refused jobs", "basic.nack") == 0 {
		t.Error("nobody is told")
	}
	// A refused job waits longer and longer, a second at most.
	if n := s.count(`SELECT count(*) FROM ackbox_jobs WHERE state = 'nacked' AND due_at > now() + interval '1200 ms'`); n > 0 {
		t.Errorf("%d jobs wait for longer than the policy's most", n)
	}
	if n := s.toRabbitMQ.Accepted(); n > 3 {
		t.Errorf("%d connections were made: a full queue is no reason to reconnect", n)
	}
	worker := s.run(workerOnly)
	audit := s.settled()
	s.unrefused()
	if audit.Resent+audit.DuplicateRuns > 0 {
		t.Errorf("%d were sent again, %d ran again: a refusal is an answer", audit.Resent, audit.DuplicateRuns)
	}
	t.Logf("sent %d into a queue for %d; %d refused, up to %d times each", sent, room, refused,
		s.count(`SELECT max(publish_attempt) FROM ackbox_jobs`))
	s.report(audit, dispatcher, worker)
}

// Somebody deletes the queue under its consumer, with jobs in it.
func TestQueueDeletedUnderItsConsumer(t *testing.T) {
	t.Parallel()
	emptied(t, func(s *brokerStage) {
		testenv.Rabbit(s.t).DeleteQueue(shop.Queue)
		s.logs("the subscription ended", "deleted")
	})
}

// Somebody purges the queue.
func TestQueuePurged(t *testing.T) {
	t.Parallel()
	emptied(t, func(s *brokerStage) { s.manage(http.MethodDelete, nil, "queues", s.vhost(), shop.Queue, "contents") })
}

func emptied(t *testing.T, empty func(*brokerStage)) {
	t.Helper()
	s := newBrokerStage(t, func(cfg *shop.Config) { cfg.StuckAfter = 2500 * time.Millisecond })
	ch := s.channel()
	dispatcher := s.run(dispatcherOnly)
	const jobs = 200
	s.place(jobs, shop.Plan{Work: 40 * time.Millisecond})
	s.reaches(jobs, allSent)
	worker := s.run(workerOnly)
	s.reaches(20, `SELECT count(*) FROM ackbox_jobs WHERE state = 'done'`)
	done := s.remember()
	inside := s.queue(ch).Messages
	empty(s)
	if inside == 0 {
		t.Fatal("the queue was empty by itself")
	}
	audit := s.settled()
	s.uncharged()
	if n := s.ranAgain(); n > 0 {
		t.Errorf("%d jobs ran again although they were done", n)
	}
	if audit.Resent == 0 {
		t.Error("nothing was sent again")
	}
	t.Logf("%d were done, %d in the queue when it was emptied", done, inside)
	s.report(audit, dispatcher, worker)
}

// The queue exists with other arguments than ours: a mistake that only people
// can repair. They are told once, in full; nobody hammers the broker; the
// application and its events go on; when it is repaired all flows.
func TestArgumentDrift(t *testing.T) {
	t.Parallel()
	s := newBrokerStage(t)
	testenv.Rabbit(t).DeclareQueue(shop.Queue, map[string]any{"x-queue-type": "classic"})
	i := s.run()
	s.place(50, shop.Plan{})
	told := []string{"level=ERROR", "the broker refuses a declaration", "queue shop: argument x-queue-type is classic on the server, quorum in Config.Topology"}
	s.logs(told...)
	const events = 20
	s.placeEvents(events)
	s.reaches(events, `SELECT count(*) FROM ackbox_jobs WHERE kind = 'shop.placed' AND state = 'sent'`)
	s.stays(3*time.Second, "the rows are untouched", func() error {
		if n := s.count(`SELECT count(*) FROM ackbox_jobs WHERE queue <> '' AND state = 'pending' AND attempt = 1 AND publish_attempt = 0
			AND resend = 0 AND last_error IS NULL`); n != 50 {
			return fmt.Errorf("%d of 50 are", n)
		}
		if n := s.count(claimed); n > 0 {
			return fmt.Errorf("%d are claimed", n)
		}
		return nil
	})
	if n := s.toRabbitMQ.Accepted(); n > 3 {
		t.Errorf("%d connections were made: a refused declaration costs its channel", n)
	}
	if n := s.logged(told...); n != 1 {
		t.Errorf("people are told %d times, want once", n)
	}
	testenv.Rabbit(t).DeleteQueue(shop.Queue)
	s.logs("declared after all", "queue shop")
	audit := s.settled()
	s.uncharged()
	if audit.Resent > 0 {
		t.Errorf("%d jobs were sent again that had not been sent", audit.Resent)
	}
	s.report(audit, i)
}

// A queue that cannot answer is not an empty queue: what waits in it is not sent
// again, however often the sweeper asks.
func TestSilentQueueIsNotEmpty(t *testing.T) {
	t.Parallel()
	s := newBrokerStage(t)
	dispatcher := s.run(dispatcherOnly)
	const jobs = 50
	s.place(jobs, shop.Plan{})
	s.reaches(jobs, allSent)
	process := fmt.Sprintf(`list_to_existing_atom("%s_%s")`, s.vhost(), shop.Queue)
	s.ctl("eval", "ok = sys:suspend("+process+").")
	s.logs("the queue itself does not answer")
	s.stays(14*time.Second, "nothing is sent again", func() error { // three times StuckAfter
		if n := s.count(`SELECT coalesce(sum(resend), 0) FROM ackbox_jobs`); n > 0 {
			return fmt.Errorf("%d copies were sent again", n)
		}
		return nil
	})
	s.ctl("eval", "ok = sys:resume("+process+").")
	worker := s.run(workerOnly)
	audit := s.settled()
	s.uncharged()
	if audit.Resent+audit.DuplicateRuns > 0 {
		t.Errorf("%d were sent again, %d ran again", audit.Resent, audit.DuplicateRuns)
	}
	s.report(audit, dispatcher, worker)
}

// One queue stalls, as a quorum queue does that has lost its majority: what is
// published to it gets no answer, nor does what comes behind it on its channel.
// Others go on, by the same dispatcher and connection, also from behind a backlog
// of the stalled one; people are told, nothing is charged.
func TestOneQueueStalls(t *testing.T) {
	t.Parallel()
	s := newBrokerStage(t)
	i := s.run()
	s.place(1, shop.Plan{})
	s.settled()
	process := fmt.Sprintf(`list_to_existing_atom("%s_%s")`, s.vhost(), shop.Queue)
	s.ctl("eval", "ok = sys:suspend("+process+").")
	connections := s.toRabbitMQ.Accepted()
	const jobs, events = 450, 20
	s.place(jobs, shop.Plan{})
	s.reaches(50, `SELECT count(*) FROM ackbox_jobs WHERE state = 'pending' AND resend > 0`)
	// Behind several batches of jobs that nobody confirms.
	s.placeEvents(events)
	s.reaches(events, `SELECT count(*) FROM ackbox_jobs WHERE kind = 'shop.placed' AND state = 'sent'`)
	s.equal("jobs of the stalled queue that count as sent", s.count(`SELECT count(*) FROM ackbox_jobs WHERE queue <> '' AND state = 'sent'`), 0)
	s.equal("new connections", s.toRabbitMQ.Accepted()-connections, 0)
	s.logs("the broker confirms nothing for a destination", shop.Queue)
	s.ctl("eval", "ok = sys:resume("+process+").")
	audit := s.settled()
	s.logs("a destination is confirmed again", shop.Queue)
	s.uncharged()
	s.report(audit, i)
}
