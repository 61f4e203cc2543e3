//go:build unix

package faults_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ackbox/ackbox/internal/integration/shop"
	"github.com/ackbox/ackbox/internal/testenv"
	"github.com/ackbox/ackbox/outbox"
)

// set changes settings of the running node; channels opened since have them.
func set(settings ...string) []string {
	var code []string
	for _, s := range settings {
		code = append(code, "application:set_env(rabbit, "+s+")")
	}
	return []string{"eval", strings.Join(code, ", ") + "."}
}

// largest changes how large a message may be. RabbitMQ 4 reads the setting once,
// when it starts, and goes by a copy.
func largest(octets int) []string {
	command := set(fmt.Sprintf("max_message_size, %d", octets))
	command[1] = fmt.Sprintf("persistent_term:put(max_message_size, %d), ", octets) + command[1]
	return command
}

// A message is larger than the broker allows, which closes the channel under
// all that is on it. Only its row pays.
func TestMessageTooLargeForTheBroker(t *testing.T) {
	s := newBrokerStage(t)
	repairs(t, largest(134217728))
	s.ctl(largest(20000)...)
	i := s.run()
	large := s.placeAs(1, shop.Plan{Order: strings.Repeat("x", 30_000)})[0]
	const jobs = 200
	s.place(jobs, shop.Plan{})
	s.reaches(jobs, allEffects)
	s.reaches(1, `SELECT count(*) FROM ackbox_jobs WHERE id = ? AND publish_attempt >= 2 AND attempt = 1 AND sent_at IS NULL
		AND last_error LIKE 'publish %: nacked by the broker: PRECONDITION_FAILED - message size 30% larger than configured max size 20000'`, large)
	if n := s.count(`SELECT count(*) FROM ackbox_jobs WHERE id <> ? AND (attempt <> 1 OR publish_attempt <> 0 OR state <> 'done')`, large); n > 0 {
		t.Errorf("%d neighbours paid for it", n)
	}
	if s.logged("dispatcher: the broker refused jobs", "max size 20000", large) == 0 {
		t.Error("nobody is told")
	}
	if n := s.toRabbitMQ.Accepted(); n != 3 {
		t.Errorf("%d connections were made, want 3", n)
	}
	s.ctl(largest(134217728)...)
	audit := s.settled()
	s.unrefused()
	s.report(audit, i)
}

// A handler takes longer than the broker waits for an acknowledgement: its
// channel is closed, and the job handed out again while it runs.
func TestSlowConsumer(t *testing.T) {
	s := newBrokerStage(t, func(cfg *shop.Config) { cfg.JobTimeout = 30 * time.Second })
	repairs(t, set("consumer_timeout, 1800000", "channel_tick_interval, 60000"))
	s.ctl(set("consumer_timeout, 2000", "channel_tick_interval, 500")...)
	i := s.run()
	s.placeAs(1, shop.Plan{Work: 5 * time.Second})
	s.reaches(1, allRuns)
	stop := s.traffic(shop.Plan{}) // neighbours
	s.logs("the subscription ended", "PRECONDITION_FAILED - delivery acknowledgement on channel", "timed out")
	ended, before := s.logged("the subscription ended"), s.count(allEffects)
	s.reaches(before+20, allEffects)
	stop()
	audit := s.settled()
	s.uncharged()
	if n := s.count(`SELECT count(*) FROM shop_runs AS r JOIN ackbox_jobs AS j ON j.id = r.job WHERE j.created_at = (SELECT min(created_at) FROM ackbox_jobs)`); n != 1 {
		t.Errorf("the slow job ran %d times, want once", n)
	}
	if audit.Resent > 0 {
		t.Errorf("%d were sent again", audit.Resent)
	}
	t.Logf("the subscription ended %d times, %d before the neighbours went on", s.logged("the subscription ended"), ended)
	s.report(audit, i)
}

// A message that no row stands behind fails, and the worker dies between
// publishing its copy, for the next try or for the dead queue, and
// acknowledging the original.
func TestKilledBetweenCopyAndAcknowledgement(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		plan shop.Plan
		// ended holds when the message has come to its end.
		ended string
		dead  bool
		runs  int
	}{
		{"next try", shop.Plan{FailFirst: 2}, `SELECT count(*) FROM shop_effects WHERE job = ? AND action = 'consume'`, false, 4},
		{"dead queue", shop.Plan{Doomed: true}, `SELECT count(*) FROM shop_effects WHERE job = ? AND action = 'fail'`, true, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := newBrokerStage(t)
			p := s.process(workerOnly, "worker.replaced=kill:1")
			ch := s.channel()
			s.eventually("the queue is declared", func() error {
				_, err := s.app.Broker.Waiting(s.ctx, shop.Queue)
				return err
			})
			id := outbox.NewID()
			s.publish(ch, id, shop.Mail{Plan: tc.plan})
			s.must("wait for the kill", p.Wait(patience))
			if !p.Killed() {
				t.Fatalf("the worker ended otherwise:\n%s", p.Log())
			}
			worker := s.run(workerOnly)
			s.reaches(1, tc.ended, id)
			s.reaches(tc.runs, `SELECT count(*) FROM shop_runs WHERE job = ?`, id) // the copy, and the original
			left := func(queue string) int {
				n, err := s.app.Broker.Waiting(s.ctx, queue)
				s.must("look at "+queue, err)
				return n
			}
			s.eventually("the work queue is empty", func() error {
				if n := left(shop.Queue); n > 0 || worker.Worker.Stats().InHand > 0 {
					return fmt.Errorf("%d messages", n)
				}
				return nil
			})
			if tc.dead {
				s.eventually("it is in the dead queue", func() error {
					if n := left(shop.Queue + ".dead"); n < 1 || n > 2 {
						return fmt.Errorf("%d copies", n)
					}
					return nil
				})
			}
			s.t.Logf("%d runs, %d effects", s.count(allRuns), s.count(allEffects))
		})
	}
}

// publish publishes a message straight to the shop's queue, as another service
// would.
func (s *brokerStage) publish(ch *amqp.Channel, id string, args shop.Mail) {
	s.t.Helper()
	body, err := json.Marshal(args)
	s.must("encode", err)
	s.must("confirm mode", ch.Confirm(false))
	confirm, err := ch.PublishWithDeferredConfirmWithContext(s.ctx, "", shop.Queue, true, false, amqp.Publishing{
		MessageId: id, Type: args.Kind(), DeliveryMode: amqp.Persistent, Body: body,
	})
	s.must("publish", err)
	ok, err := confirm.WaitContext(s.ctx)
	s.must("await the confirm", err)
	if !ok {
		s.t.Fatal("the broker did not take the message")
	}
}

// SIGTERM, while jobs run, others wait in the process, and more come.
func TestTerminatedAtWork(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		work time.Duration
		// finished says that the jobs in hand finish within the grace period.
		finished bool
	}{
		{"jobs finish in time", 2 * time.Second, true},
		{"jobs are given back", 7 * time.Second, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := newBrokerStage(t, func(cfg *shop.Config) { cfg.JobTimeout = 30 * time.Second })
			p := s.process(nil)
			s.placeAs(8, shop.Plan{Work: tc.work})
			s.reaches(8, allRuns)
			stop := s.traffic(shop.Plan{Work: 10 * time.Millisecond})
			s.reaches(30, `SELECT count(*) FROM ackbox_jobs`)
			if n := s.count(unfinishedRuns); n < 8 {
				t.Fatalf("only %d jobs run", n)
			}
			began := time.Now()
			s.must("terminate", p.Terminate(30*time.Second))
			t.Logf("ended after %v", time.Since(began).Round(time.Millisecond))
			running := s.count(unfinishedRuns)
			if tc.finished && running > 0 {
				t.Errorf("%d jobs did not finish within the grace period", running)
			}
			if !tc.finished && running < 8 {
				t.Errorf("%d jobs were given back, want 8", running)
			}
			if n := s.count(claimed); n > 0 {
				t.Errorf("%d rows are locked by a process that has ended", n)
			}
			ch := s.channel()
			s.eventually("no consumer is left", func() error {
				if q := s.queue(ch); q.Consumers > 0 {
					return fmt.Errorf("%+v", q)
				}
				return nil
			})
			i := s.run(func(cfg *shop.Config) { cfg.Name = "successor" })
			stop()
			audit := s.settled()
			s.uncharged()
			// What was given back goes by the ledger, which sends it again.
			if audit.Resent > running {
				t.Errorf("%d were sent again: nothing was lost", audit.Resent)
			}
			if tc.finished && audit.DuplicateRuns > 0 {
				t.Errorf("%d jobs ran again", audit.DuplicateRuns)
			}
			s.report(audit, i)
		})
	}
}

// Fifty reconnects leave nothing behind: no connection, no channel, no
// goroutine.
func TestReconnectsLeaveNothing(t *testing.T) {
	t.Parallel()
	s := newBrokerStage(t)
	p := s.process(nil)
	type numbers struct{ goroutines, connections, channels, toBroker, toDatabase int }
	take := func() (n numbers) {
		if reports := p.Reports(); len(reports) > 0 {
			n.goroutines = reports[len(reports)-1].Goroutines
		}
		var connections, channels []struct{}
		s.must("list connections", manage(s.ctx, "GET", nil, &connections, "vhosts", s.vhost(), "connections"))
		s.must("list channels", manage(s.ctx, "GET", nil, &channels, "vhosts", s.vhost(), "channels"))
		n.connections, n.channels = len(connections), len(channels)
		n.toBroker, n.toDatabase = s.toRabbitMQ.Connections(), s.toPostgres.Connections()
		return n
	}
	s.place(20, shop.Plan{})
	s.settled()
	var before numbers
	s.eventually("the instance is at rest", func() error {
		last := before
		before = take()
		if len(p.Reports()) < 5 || before.connections != 3 || before.channels == 0 || before != last {
			return fmt.Errorf("%+v", before)
		}
		return nil
	})
	const cuts = 25
	for n := range cuts {
		connections := s.toRabbitMQ.Accepted()
		if n%2 == 0 {
			s.toRabbitMQ.Cut()
		} else {
			s.toRabbitMQ.Reset()
		}
		if n%5 == 0 {
			s.toPostgres.Cut()
		}
		s.place(5, shop.Plan{})
		s.eventually("all are back", func() error {
			// The control connection comes back when somebody needs it.
			if got := s.toRabbitMQ.Accepted(); got < connections+2 || s.toRabbitMQ.Connections() < 2 {
				return fmt.Errorf("%d of %d connections", got, connections+2)
			}
			return nil
		})
	}
	audit := s.settled()
	// The handlers notice that their database is cut off, and say so; nobody else
	// charges anything.
	if n := s.count(`SELECT count(*) FROM ackbox_jobs WHERE publish_attempt <> 0 OR attempt - 1 > jsonb_array_length(jsonb_path_query_array(coalesce(history, '[]'), '$[*].what ? (@ == "failed")'))`); n > 0 {
		t.Errorf("%d jobs were charged by somebody else than their handler", n)
	}
	// Two batches have a channel each, and the consumer; the second batch may not have been
	// on the way yet. A channel has three goroutines.
	const most = 3
	unused := max(0, most-before.channels)
	var after numbers
	s.eventually("nothing is left", func() error {
		after = take()
		if after.goroutines > before.goroutines+3*unused || after.connections > before.connections || after.channels > before.channels+unused ||
			after.toBroker > before.toBroker || after.toDatabase > 20 /* the pool's size */ {
			return fmt.Errorf("%+v, before: %+v", after, before)
		}
		return nil
	})
	testenv.Rabbit(t).CloseConnections(3) // and these three were all
	t.Logf("%d connections to the broker were made; before %+v, after %+v", s.toRabbitMQ.Accepted(), before, after)
	s.report(audit)
}
