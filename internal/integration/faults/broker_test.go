//go:build unix

package faults_test

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ackbox/ackbox/internal/integration/shop"
	"github.com/ackbox/ackbox/internal/testenv"
)

// The tests in this file break the node that all share: none is parallel.

// The broker's application stops and starts while batches are on the wire and
// jobs are running.
func TestBrokerApplicationRestarted(t *testing.T) {
	s := newBrokerStage(t)
	repairs(t, []string{"start_app"})
	s.slowed(100 * time.Millisecond)
	dispatcher, worker := s.run(dispatcherOnly), s.directWorker()
	stop := s.traffic(shop.Plan{Work: 20 * time.Millisecond})
	s.reaches(50, allEffects)
	s.ctl("stop_app")
	s.logs("not connected", "connection=publish")
	s.logs("the subscription ended")
	before := s.count(allEffects)
	s.place(50, shop.Plan{}) // the application goes on
	s.ctl("start_app")
	s.reaches(before+50, allEffects)
	stop()
	audit := s.settled()
	s.uncharged()
	if dispatcher.Dispatcher.Stats().Unknown == 0 {
		t.Error("no batch was on the wire when the broker stopped")
	}
	s.report(audit, dispatcher, worker)
}

// The node is killed and loses nothing that it has confirmed: nothing of that is
// sent again. What was on the wire is.
func TestBrokerKilled(t *testing.T) {
	s := newBrokerStage(t)
	repairs(t)
	dispatcher := s.run(dispatcherOnly)
	s.place(300, shop.Plan{})
	s.reaches(300, allSent)
	s.must("sync the node", ground.RabbitMQ.Sync(s.ctx))
	s.toRabbitMQ.HalfOpen() // the batch arrives, its confirms do not
	s.place(100, shop.Plan{})
	s.onWire()
	s.must("kill the node", ground.RabbitMQ.Kill(s.ctx))
	s.toRabbitMQ.Cut() // with what the proxy has held back
	s.must("open the network", s.toRabbitMQ.Heal())
	s.logs("not connected", "connection=publish")
	s.place(50, shop.Plan{})
	s.must("start the node", ground.RabbitMQ.Start(s.ctx))
	s.reaches(450, allSent)
	worker := s.directWorker()
	audit := s.settled()
	s.uncharged()
	if dispatcher.Dispatcher.Stats().Unknown == 0 {
		t.Error("no batch was on the wire when the node was killed")
	}
	if n := s.count(`SELECT count(*) FROM ackbox_jobs AS j JOIN shop_expected AS e ON e.job = j.id
		WHERE e.order_id LIKE 'order1-%' AND j.resend > 0`); n > 0 {
		t.Errorf("%d jobs were sent again although the broker had confirmed and kept them", n)
	}
	s.report(audit, dispatcher, worker)
}

// The node is killed and comes back with its queue's name and without what was
// in it, as RabbitMQ 3.10 does if it is killed moments after a quorum queue was
// declared. Such a queue takes messages and answers nothing, until people delete
// it. By then nothing is charged or lost, and afterwards all is sent again.
func TestBrokerForgetsWhatItConfirmed(t *testing.T) {
	s := inDefaultVhost(t)
	dispatcher := s.run(dispatcherOnly)
	const jobs = 200
	s.place(jobs, shop.Plan{})
	s.reaches(jobs, allSent)
	s.must("sync the node", ground.RabbitMQ.Sync(s.ctx))
	s.must("kill the node", ground.RabbitMQ.Kill(s.ctx))
	contents, err := filepath.Glob(filepath.Join(ground.RabbitMQ.Options.Dir, "mnesia", "*", "quorum", "*"))
	if err != nil || len(contents) != 1 {
		t.Fatalf("the contents of the quorum queues are in %q: %v", contents, err)
	}
	s.must("remove the contents of the queues", os.RemoveAll(contents[0]))
	s.must("start the node", ground.RabbitMQ.Start(s.ctx))
	worker := s.run(workerOnly)
	s.logs("a queue does not answer; its consumer waits", shop.Queue)
	s.logs("a queue does not answer, so none of its jobs is taken for lost", shop.Queue)
	s.place(1, shop.Plan{})
	s.logs("the broker confirms nothing for a destination", shop.Queue)
	s.uncharged()
	if n := s.count(`SELECT count(*) FROM ackbox_jobs WHERE finished_at IS NULL`); n != jobs+1 {
		t.Errorf("%d of %d jobs are unfinished", n, jobs+1)
	}
	s.forget(shop.Queue)
	audit := s.settled()
	// Those that came before the queue was declared anew were returned.
	s.equal("jobs that were charged a try", s.count(`SELECT count(*) FROM ackbox_jobs WHERE attempt > 1`), 0)
	if audit.Resent < jobs {
		t.Errorf("%d of %d jobs were sent again: the broker has kept them", audit.Resent, jobs)
	}
	s.report(audit, dispatcher, worker)
}

// inDefaultVhost is a stage in the vhost that is there even if the node's disk
// is wiped.
func inDefaultVhost(t *testing.T) *brokerStage {
	t.Helper()
	s := &brokerStage{newStageAt(t, testenv.DatabaseURL(t), ground.RabbitMQ.URL())}
	repairs(t)
	s.forget(shop.Queue)
	t.Cleanup(func() { s.forget(shop.Queue) })
	return s
}

// forget deletes a queue of the default vhost, if it is there.
func (s *brokerStage) forget(queue string) {
	s.t.Helper()
	err := manage(context.WithoutCancel(s.ctx), http.MethodDelete, nil, nil, "queues", "/", queue)
	if err != nil && !strings.Contains(err.Error(), "404") {
		s.t.Errorf("delete queue %s: %v", queue, err)
	}
}

// The broker's disk is wiped while thousands of jobs are under way.
func TestBrokerDiskWiped(t *testing.T) {
	const jobs = 2000
	s := inDefaultVhost(t)
	dispatcher := s.run(dispatcherOnly, func(cfg *shop.Config) { cfg.Batch = 500 })
	s.place(jobs, shop.Plan{})
	s.reaches(jobs, allSent)
	worker := s.run(workerOnly)
	s.reaches(100, `SELECT count(*) FROM ackbox_jobs WHERE state = 'done'`)
	s.must("kill the node", ground.RabbitMQ.Kill(s.ctx))
	done := s.remember()
	s.must("wipe the node", ground.RabbitMQ.Wipe())
	s.must("start the node", ground.RabbitMQ.Start(s.ctx))
	audit := s.settled()
	s.uncharged()
	if n := s.ranAgain(); n > 0 {
		t.Errorf("%d jobs ran again although they were done", n)
	}
	// What the worker had in hand it has finished; all else had to be sent again.
	if least := jobs - done - 100; audit.Resent < least {
		t.Errorf("%d were sent again, want at least %d", audit.Resent, least)
	}
	t.Logf("%d were done when the disk was wiped", done)
	s.report(audit, dispatcher, worker)
}

// The node is frozen: its connections stand, and nobody answers.
func TestBrokerFrozen(t *testing.T) {
	s := newBrokerStage(t)
	repairs(t)
	dispatcher, worker := s.run(dispatcherOnly), s.directWorker()
	stop := s.traffic(shop.Plan{Work: 100 * time.Millisecond})
	s.reaches(20, allEffects)
	s.must("freeze the node", ground.RabbitMQ.Freeze())
	s.deaf()
	stop()
	s.must("thaw the node", ground.RabbitMQ.Thaw())
	audit := s.settled()
	s.uncharged()
	if dispatcher.Dispatcher.Stats().Unknown == 0 {
		t.Error("no batch was on the wire when the broker froze")
	}
	s.report(audit, dispatcher, worker)
}

// deaf checks what has to hold while nobody answers: the jobs in hand are
// finished, dispatcher and worker notice, no row stays locked, the application
// goes on, and none of it is charged.
func (s *brokerStage) deaf() {
	s.t.Helper()
	began := time.Now()
	before, connected := s.count(allEffects), s.logged("connected again")
	s.reaches(before+8, allEffects) // what was in hand
	s.logs("not connected", "connection=publish")
	s.logs("the subscription ended")
	s.t.Logf("noticed within %v", time.Since(began).Round(time.Millisecond))
	s.claimsNothing(2 * time.Second)
	if s.count(allPending) == 0 {
		s.t.Error("nothing waits: the application did not go on")
	}
	if s.logged("connected again") > connected {
		s.t.Error("somebody answered")
	}
}
