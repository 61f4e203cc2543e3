//go:build unix

package faults_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/ackbox/ackbox/internal/integration/shop"
	"github.com/ackbox/ackbox/internal/testenv"
)

// An administrator, or a load balancer, ends every connection to the broker in
// the middle of the work.
func TestConnectionsClosedByTheBroker(t *testing.T) {
	t.Parallel()
	s := newBrokerStage(t)
	s.slowed(50 * time.Millisecond)
	i := s.run()
	stop := s.traffic(shop.Plan{Work: 10 * time.Millisecond})
	for n := range 4 {
		s.reaches(s.count(allEffects)+30, allEffects)
		s.onWire()
		testenv.Rabbit(t).CloseConnections(3)
		s.eventually("all are back", func() error {
			if got := s.toRabbitMQ.Accepted(); got < 3*(n+2) {
				return fmt.Errorf("%d connections were made", got)
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

// Jobs run while their connection ends. The broker hands them out again, and
// gets them back joined to those that run: they run once, and the late answers
// on the old channel settle nobody else's message.
func TestRunningJobsAreHandedOutAgain(t *testing.T) {
	t.Parallel()
	s := newBrokerStage(t)
	ch := s.channel()
	dispatcher := s.run(dispatcherOnly)
	const running, jobs = 8, 16
	s.place(jobs, shop.Plan{Work: 3 * time.Second})
	s.reaches(jobs, allSent)
	worker := s.run(workerOnly)
	s.reaches(running, allRuns)
	// All are in the worker's hands; none is in the queue.
	s.eventually("all are handed out", func() error {
		if q := s.queue(ch); q.Messages > 0 {
			return fmt.Errorf("%d are not", q.Messages)
		}
		return nil
	})
	s.toRabbitMQ.Cut()
	s.eventually("all are handed out again", func() error {
		if q := s.queue(ch); s.logged("the subscription ended") == 0 || q.Consumers == 0 || q.Messages > 0 {
			return fmt.Errorf("%+v", q)
		}
		return nil
	})
	if n := s.count(allEffects); n > 0 {
		t.Fatalf("%d jobs were finished by then: nothing could be joined", n)
	}
	audit := s.settled()
	s.uncharged()
	if n := s.count(allRuns); n != jobs {
		t.Errorf("%d runs of %d jobs", n, jobs)
	}
	if audit.Resent > 0 {
		t.Errorf("%d were sent again", audit.Resent)
	}
	// A stale answer that had reached the broker would have closed the channel.
	if n := s.logged("the subscription ended"); n != 1 {
		t.Errorf("the subscription ended %d times, want once", n)
	}
	worker.end()
	if q := s.queue(ch); q.Messages > 0 {
		t.Errorf("%d messages of finished jobs are left", q.Messages)
	}
	s.report(audit, dispatcher, worker)
}

// The broker lets nobody in for a while, as it does before maintenance.
func TestListenersSuspended(t *testing.T) {
	s := newBrokerStage(t)
	repairs(t, []string{"resume_listeners"})
	i := s.run()
	stop := s.traffic(shop.Plan{})
	s.reaches(20, allEffects)
	s.ctl("suspend_listeners")
	s.toRabbitMQ.HalfOpen() // the next batch stays on the wire
	s.eventually("a batch stays on the wire", func() error {
		sent := i.Dispatcher.Stats().Sent
		s.onWire()
		s.wait(300 * time.Millisecond)
		if i.Dispatcher.Stats().Sent != sent || s.count(claimed) == 0 {
			return errors.New("it was confirmed before the answers were held back")
		}
		return nil
	})
	s.toRabbitMQ.Cut()
	s.must("open the network", s.toRabbitMQ.Heal())
	s.logs("not connected", "connection=publish")
	s.logs("not connected", "connection=control") // the consumer asks after its queue first
	began, tries := time.Now(), s.toRabbitMQ.Accepted()
	s.claimsNothing(2 * time.Second)
	stop()
	// All three connections are tried for every 250 to 500 ms.
	if n, most := s.toRabbitMQ.Accepted()-tries, 3*int(time.Since(began)/(250*time.Millisecond)+1); n < 2 || n > most {
		t.Errorf("%d tries to connect in %v, want 2 to %d", n, time.Since(began), most)
	}
	if s.count(allPending) == 0 {
		t.Error("nothing waits: the application did not go on")
	}
	s.ctl("resume_listeners")
	audit := s.settled()
	s.uncharged()
	if i.Dispatcher.Stats().Unknown == 0 {
		t.Error("no batch was on the wire")
	}
	s.report(audit, i)
}
