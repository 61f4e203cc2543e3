//go:build unix

package faults_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/ackbox/ackbox/internal/integration/netfault"
	"github.com/ackbox/ackbox/internal/integration/shop"
)

// The network to the broker goes silent: nothing comes, nothing ends.
func TestBrokerSilent(t *testing.T) {
	t.Parallel()
	blackHole(t, (*netfault.Proxy).Freeze)
}

// The broker hears us, and we do not hear it.
func TestBrokerHalfOpen(t *testing.T) {
	t.Parallel()
	blackHole(t, (*netfault.Proxy).HalfOpen)
}

func blackHole(t *testing.T, silence func(*netfault.Proxy)) {
	t.Helper()
	s := newBrokerStage(t)
	i := s.run()
	stop := s.traffic(shop.Plan{Work: 100 * time.Millisecond})
	s.reaches(20, allEffects)
	silence(s.toRabbitMQ)
	s.deaf()
	stop()
	s.must("heal the network", s.toRabbitMQ.Heal())
	audit := s.settled()
	s.uncharged()
	if i.Dispatcher.Stats().Unknown == 0 {
		t.Error("no batch was on the wire when the network went silent")
	}
	s.report(audit, i)
}

// The connection ends in the middle of a message, each time at another octet.
func TestCutInTheMiddleOfAMessage(t *testing.T) {
	t.Parallel()
	s := newBrokerStage(t)
	dispatcher, worker := s.run(dispatcherOnly), s.directWorker()
	s.place(1, shop.Plan{})
	s.reaches(1, allEffects)
	total, unknown := 1, int64(0)
	for n, octets := range []int{1, 250, 2_003, 7_001, 11_507} {
		// The dispatcher is idle but for heartbeats of 8 octets: the cut comes
		// in the batch.
		connections := s.toRabbitMQ.Accepted()
		s.toRabbitMQ.CutAfter(16 + octets)
		s.place(60, shop.Plan{})
		total += 60
		s.reaches(total, allEffects)
		if now := s.toRabbitMQ.Accepted(); now == connections {
			t.Errorf("cut %d did not come", n)
		}
		if now := dispatcher.Dispatcher.Stats().Unknown; now > unknown {
			unknown = now
		} else {
			t.Errorf("cut %d left nothing without an answer", n)
		}
	}
	audit := s.settled()
	s.uncharged()
	if audit.Resent == 0 {
		t.Error("nothing was sent again")
	}
	s.report(audit, dispatcher, worker)
}

// The connection ends in the middle of the login. To the client library that
// looks like a wrong password, or a vhost that there is not; nobody must be sent
// to look for those, and the next try comes soon.
func TestCutDuringTheLogin(t *testing.T) {
	t.Parallel()
	s := newBrokerStage(t)
	for _, octets := range []int{100, 500, 560} {
		connections := s.toRabbitMQ.Accepted()
		s.toRabbitMQ.CutAfter(octets)
		i := s.run(dispatcherOnly)
		s.place(10, shop.Plan{})
		s.reaches(10, allSent)
		s.must("mark them done", s.db.WithContext(s.ctx).Exec(`DELETE FROM ackbox_jobs`).Error)
		if n := s.toRabbitMQ.Accepted() - connections; n < 2 {
			t.Errorf("%d connections were made: the cut after %d octets did not come", n, octets)
		}
		i.end()
	}
	if s.logged("not connected") == 0 || s.logged("the broker refuses") > 0 {
		t.Error("a broken line was taken for a refusal, or for nothing")
	}
}

// Connections are reset (RST), again and again.
func TestConnectionReset(t *testing.T) {
	t.Parallel()
	s := newBrokerStage(t)
	s.slowed(50 * time.Millisecond)
	i := s.run()
	stop := s.traffic(shop.Plan{Work: 10 * time.Millisecond})
	for range 5 {
		s.reaches(s.count(allEffects)+20, allEffects)
		s.onWire()
		connections := s.toRabbitMQ.Accepted()
		s.toRabbitMQ.Reset()
		s.eventually("all are back", func() error {
			if n := s.toRabbitMQ.Accepted(); n < connections+3 {
				return fmt.Errorf("%d of %d connections", n, connections+3)
			}
			return nil
		})
	}
	stop()
	audit := s.settled()
	s.uncharged()
	if i.Dispatcher.Stats().Unknown == 0 {
		t.Error("no batch was on the wire")
	}
	s.report(audit, i)
}

// The broker is far away: that is no fault, and nothing is done twice for it.
func TestBrokerFarAway(t *testing.T) {
	t.Parallel()
	s := newBrokerStage(t)
	s.slowed(150 * time.Millisecond)
	s.calm(200)
}

// The way to the broker is narrow: that is no fault either, if a batch fits
// through it in time.
func TestBrokerBehindANarrowLine(t *testing.T) {
	t.Parallel()
	s := newBrokerStage(t, func(cfg *shop.Config) { cfg.Batch = 20 })
	s.must("narrow the network", s.toRabbitMQ.Throttle(20_000))
	s.calm(200)
}

// Batches do not fit through the line before the broker's answer is due. What
// was answered counts all the same, so that it goes on, with repetitions.
func TestBatchesTooLargeForTheLine(t *testing.T) {
	t.Parallel()
	s := newBrokerStage(t, func(cfg *shop.Config) { cfg.Batch = 200 })
	s.must("narrow the network", s.toRabbitMQ.Throttle(20_000))
	dispatcher, worker := s.run(dispatcherOnly), s.directWorker()
	s.place(400, shop.Plan{})
	audit := s.settled()
	s.uncharged()
	if dispatcher.Dispatcher.Stats().Unknown == 0 {
		t.Error("every batch was answered in time")
	}
	s.report(audit, dispatcher, worker)
}

// calm has jobs done over a bad line and checks that nobody took it for broken.
func (s *brokerStage) calm(jobs int) {
	s.t.Helper()
	i := s.run()
	began := time.Now()
	s.place(jobs, shop.Plan{})
	audit := s.settled()
	s.uncharged()
	s.t.Logf("%d jobs in %v", jobs, time.Since(began).Round(time.Millisecond))
	if n := s.toRabbitMQ.Accepted(); n != 3 {
		s.t.Errorf("%d connections were made, want 3", n)
	}
	if n := i.Dispatcher.Stats().Unknown; n > 0 {
		s.t.Errorf("%d publishes had no answer", n)
	}
	if audit.Resent+audit.DuplicateRuns > 0 {
		s.t.Errorf("%d jobs were sent again, %d ran again", audit.Resent, audit.DuplicateRuns)
	}
	s.report(audit, i)
}
