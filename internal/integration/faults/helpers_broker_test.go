//go:build unix

package faults_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"gorm.io/gorm"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/dispatcher"
	"github.com/ackbox/ackbox/internal/integration/shop"
	"github.com/ackbox/ackbox/internal/testenv"
	"github.com/ackbox/ackbox/outbox"
)

// Queries that tests count by.
const (
	allSent    = `SELECT count(*) FROM ackbox_jobs WHERE state = 'sent'`
	allPending = `SELECT count(*) FROM ackbox_jobs WHERE state = 'pending'`
	allNacked  = `SELECT count(*) FROM ackbox_jobs WHERE state = 'nacked'`
	allEffects = `SELECT count(*) FROM shop_effects`
	allRuns    = `SELECT count(*) FROM shop_runs`
	// unfinishedRuns are going on, or were given up.
	unfinishedRuns = `SELECT count(*) FROM shop_runs AS r WHERE NOT EXISTS (SELECT FROM shop_effects AS e WHERE e.job = r.job)`
	// claimed are the rows that a dispatcher has on the wire.
	claimed = `SELECT count(*) - (SELECT count(*) FROM (
		SELECT FROM ackbox_jobs WHERE state = 'pending' FOR SHARE SKIP LOCKED) AS open)
		FROM ackbox_jobs WHERE state = 'pending'`
)

// brokerStage is a stage with what breaking a broker takes.
type brokerStage struct{ *stage }

func newBrokerStage(t *testing.T, changes ...func(*shop.Config)) *brokerStage {
	t.Helper()
	return &brokerStage{newStage(t, changes...)}
}

// vhost is the stage's own.
func (s *brokerStage) vhost() string { return testenv.Rabbit(s.t).Vhost() }

// manage calls the management API. A nil error says that the server agreed.
func manage(ctx context.Context, method string, in, out any, path ...string) (err error) {
	for i, p := range path {
		path[i] = url.PathEscape(p)
	}
	body := []byte("{}")
	if in != nil {
		if body, err = json.Marshal(in); err != nil {
			return err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, ground.RabbitMQ.API()+"/api/"+strings.Join(path, "/"), bytes.NewReader(body))
	if err != nil {
		return errors.New("the address of the management API does not parse") // it holds a password
	}
	req.Header.Set("Content-Type", "application/json")
	client := http.Client{Timeout: 15 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("%s /api/%s failed", method, strings.Join(path, "/"))
	}
	defer func() { err = errors.Join(err, res.Body.Close()) }()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode >= http.StatusMultipleChoices {
		return fmt.Errorf("%s /api/%s: %s: %s", method, strings.Join(path, "/"), res.Status, raw)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(raw, out)
}

func (s *brokerStage) manage(method string, in any, path ...string) {
	s.t.Helper()
	s.must("manage the broker", manage(s.ctx, method, in, nil, path...))
}

// channel is a channel of somebody else's, directly to the broker.
func (s *brokerStage) channel() *amqp.Channel {
	s.t.Helper()
	conn, err := amqp.Dial(testenv.AMQPURL(s.t))
	s.must("connect to the broker", err)
	s.t.Cleanup(func() { _ = conn.Close() }) // the server may be gone with it
	ch, err := conn.Channel()
	s.must("open a channel", err)
	return ch
}

// queue is the state of the shop's queue, exact and now.
func (s *brokerStage) queue(ch *amqp.Channel) amqp.Queue {
	s.t.Helper()
	q, err := ch.QueueDeclarePassive(shop.Queue, true, false, false, false, nil)
	s.must("look at the queue", err)
	return q
}

// repairs has the shared node whole again when the test ends, however it ends.
func repairs(t *testing.T, commands ...[]string) {
	t.Helper()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
		defer cancel()
		if err := errors.Join(ground.RabbitMQ.Thaw(), ground.RabbitMQ.Start(ctx)); err != nil {
			t.Errorf("repair the node: %v", err)
		}
		for _, command := range commands {
			if _, err := ground.RabbitMQ.Ctl(ctx, command...); err != nil {
				t.Errorf("repair the node: %v", err)
			}
		}
	})
}

// uncharged checks that no job has paid for an outage: neither with a publish
// nor with a try, unless the handler itself has failed because this machine was
// too slow for it.
func (s *brokerStage) uncharged() {
	s.t.Helper()
	s.unrefused()
	if n := s.count(`SELECT count(*) FROM ackbox_jobs WHERE publish_attempt <> 0`); n > 0 {
		s.t.Errorf("%d jobs were charged a publish for an outage", n)
	}
}

// unrefused is uncharged where the broker has refused something.
func (s *brokerStage) unrefused() {
	s.t.Helper()
	if n := s.count(`SELECT count(*) FROM ackbox_jobs WHERE attempt - 1 > (
		SELECT count(*) FROM jsonb_path_query(coalesce(history, '[]'), '$[*].error') AS e WHERE e::text ~ 'deadline exceeded|timeout')`); n > 0 {
		var why []string
		s.must("read errors", s.db.WithContext(s.ctx).Raw(`SELECT coalesce(history::text, '') FROM ackbox_jobs WHERE attempt > 1 LIMIT 5`).Scan(&why).Error)
		s.t.Errorf("%d jobs were charged a try for an outage: %q", n, why)
	}
	if n := s.count(`SELECT count(*) FROM ackbox_jobs WHERE attempt > 1`); n > 0 {
		s.t.Logf("%d handlers failed, too slow", n)
	}
}

// logged counts the lines of the instances in this process with all the texts.
func (s *brokerStage) logged(texts ...string) int {
	n := 0
lines:
	for line := range strings.Lines(s.log.String()) {
		for _, text := range texts {
			if !strings.Contains(line, text) {
				continue lines
			}
		}
		n++
	}
	return n
}

// logs waits until a line with all the texts is logged.
func (s *brokerStage) logs(texts ...string) {
	s.t.Helper()
	s.eventually(fmt.Sprintf("%q is logged", texts), func() error {
		if s.logged(texts...) == 0 {
			return errors.New("it is not")
		}
		return nil
	})
}

// stays asks for d and fails the test on the first error.
func (s *brokerStage) stays(d time.Duration, what string, ask func() error) {
	s.t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(d); time.Now().Before(end); <-tick.C {
		if err := ask(); err != nil {
			s.t.Fatalf("does not stay so: %s: %v", what, err)
		}
	}
}

// traffic places jobs until the stop it returns is called, and never lets more
// than 150 of them be unfinished.
func (s *brokerStage) traffic(plan shop.Plan) (stop func()) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.ctx)
	var producer sync.WaitGroup
	s.placed++
	prefix := fmt.Sprintf("traffic%d", s.placed)
	producer.Go(func() {
		tick := time.NewTicker(40 * time.Millisecond)
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			var open int
			err := s.db.WithContext(ctx).Raw(`SELECT count(*) FROM ackbox_jobs WHERE finished_at IS NULL`).Scan(&open).Error
			if err == nil && open < 150 {
				err = s.app.PlaceAll(ctx, fmt.Sprintf("%s-%d", prefix, n), 10, plan)
			}
			if err != nil && ctx.Err() == nil {
				s.t.Errorf("place orders: %v", err)
				return
			}
		}
	})
	var once sync.Once
	stop = func() { once.Do(func() { cancel(); producer.Wait() }) }
	s.t.Cleanup(stop)
	return stop
}

// placeAs commits n jobs whose args are Charges with plan, with options of
// their own, and returns their ids.
func (s *brokerStage) placeAs(n int, plan shop.Plan, opts ...outbox.Option) []string {
	s.t.Helper()
	ids := make([]string, n)
	s.must("place jobs", s.db.WithContext(s.ctx).Transaction(func(tx *gorm.DB) error {
		items := make([]outbox.Item, n)
		for i := range items {
			ids[i] = outbox.NewID()
			args := shop.Charge{Plan: plan}
			items[i] = outbox.Item{Args: args, Options: append([]outbox.Option{outbox.ID(ids[i])}, opts...)}
			if err := tx.Exec(`INSERT INTO shop_expected (job, order_id, kind, final) VALUES (?, '', ?, ?)`,
				ids[i], args.Kind(), ackbox.Done).Error; err != nil {
				return err
			}
		}
		return s.app.Store.EnqueueAll(s.ctx, tx, items...)
	}))
	return ids
}

// remember keeps the jobs that are done now, for ranAgain.
func (s *brokerStage) remember() int {
	s.t.Helper()
	s.must("remember what is done", s.db.WithContext(s.ctx).Exec(
		`CREATE TABLE done_before AS SELECT id FROM ackbox_jobs WHERE state = 'done'`).Error)
	return s.count(`SELECT count(*) FROM done_before`)
}

// ranAgain counts the remembered jobs that have run again since.
func (s *brokerStage) ranAgain() int {
	s.t.Helper()
	return s.count(`SELECT count(*) FROM (SELECT job FROM shop_runs WHERE job IN (SELECT id FROM done_before)
		GROUP BY job HAVING count(*) > 1) AS again`)
}

// direct makes an instance go to the broker past the proxy.
func (s *brokerStage) direct(cfg *shop.Config) { cfg.AMQPURL = testenv.AMQPURL(s.t) }

// directWorker runs a worker that no fault of the proxy reaches, once the dispatcher has
// declared the queue: where two declare it at the same moment, RabbitMQ 3.10 answers one
// of them before the queue takes anything, and refuses (basic.nack) what that one
// publishes at once. Measured: 10 of 120 such pairs.
func (s *brokerStage) directWorker(changes ...func(*shop.Config)) *instance {
	s.t.Helper()
	conn, err := amqp.Dial(testenv.AMQPURL(s.t))
	s.must("connect to the broker", err)
	defer func() { _ = conn.Close() }()
	s.eventually("the dispatcher has declared the queue", func() error {
		ch, err := conn.Channel() // which a refusal closes
		if err == nil {
			_, err = ch.QueueDeclarePassive(shop.Queue, true, false, false, false, nil)
		}
		return err
	})
	return s.run(append([]func(*shop.Config){workerOnly, s.direct}, changes...)...)
}

// slowed has every batch on the wire for long, so that a fault at any moment
// hits one.
func (s *brokerStage) slowed(latency time.Duration) {
	s.t.Helper()
	s.must("slow the network", s.toRabbitMQ.Slow(latency, 0))
}

// onWire waits until a dispatcher has a batch on the wire.
func (s *brokerStage) onWire() {
	s.t.Helper()
	s.reaches(1, claimed)
}

// report logs the books and what the instances have counted.
func (s *brokerStage) report(audit shop.Audit, instances ...*instance) {
	s.t.Helper()
	for _, i := range instances {
		if d := i.Dispatcher.Stats(); d != (dispatcher.Stats{}) {
			s.t.Logf("dispatcher: %+v", d)
		}
		if i.Worker != nil {
			s.t.Logf("worker: %+v", i.Worker.Stats())
		}
	}
	s.t.Logf("books: %+v", audit)
}

// claimsNothing waits until what was on the wire is given up, and checks that
// nothing is claimed for d afterwards.
func (s *brokerStage) claimsNothing(d time.Duration) {
	s.t.Helper()
	nothing := func() error {
		if n := s.count(claimed); n > 0 {
			return fmt.Errorf("%d rows are claimed", n)
		}
		return nil
	}
	s.eventually("nothing is claimed", nothing)
	s.stays(d, "nothing is claimed", nothing)
}
