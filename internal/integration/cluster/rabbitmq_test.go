//go:build unix

package cluster_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/ackbox/ackbox/internal/testenv"
	"github.com/ackbox/ackbox/internal/testenv/servers"
)

// whole has the cluster as it was when the test ends, however it ends.
func whole(t *testing.T) {
	t.Helper()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := ground.Cluster.Start(ctx); err != nil {
			t.Errorf("repair the cluster: %v", err)
		}
	})
}

// undisturbed is what a job of a queue may take whose leader was not lost: a
// connection may have been. Measured are 0.3 to 1.4 s.
const undisturbed = 5 * time.Second

// leads returns the node that leads a queue of the stage.
func (s *stage) leads(queue string) *servers.RabbitMQ {
	s.t.Helper()
	node, err := ground.Cluster.Leader(s.ctx, s.vhost(), queue)
	s.must("find the leader of "+queue, err)
	return node
}

// The node that leads a queue is killed: the others go on with all queues, this
// one included, and the node comes back.
func TestLeaderKilled(t *testing.T) {
	s := newStage(t, testenv.DatabaseURL(t))
	whole(t)
	nodeLost(s, s.leads(queues[0]))
}

// A node is killed that follows in one queue, and may lead another.
func TestFollowerKilled(t *testing.T) {
	s := newStage(t, testenv.DatabaseURL(t))
	whole(t)
	nodeLost(s, ground.Cluster.Follower(s.leads(queues[0])))
}

func nodeLost(s *stage, node *servers.RabbitMQ) {
	s.t.Helper()
	var others []string // queues
	for _, queue := range queues {
		if s.leads(queue) != node {
			others = append(others, queue)
		}
	}
	stop := s.traffic()
	s.flows()
	s.must("kill a node", node.Kill(s.ctx))
	s.t.Logf("with a node less jobs are done after %v", s.flows())
	s.must("start it again", node.Start(s.ctx))
	s.must("wait for it", ground.Cluster.Together(s.ctx))
	s.t.Logf("with all nodes after %v", s.flows())
	stop()
	s.balanced()
	s.uncharged()
	for _, queue := range others {
		if worst := s.slowest(queue); worst > undisturbed {
			s.t.Errorf("a job of %s, which another node leads, took %v", queue, worst)
		}
	}
}

// The node that leads a queue, and that a process is connected to, is cut off from
// the others, and joins them again.
func TestMinorityCutOff(t *testing.T) {
	s := newStage(t, testenv.DatabaseURL(t))
	alone := s.leads(queues[0])
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := ground.Cluster.Rejoin(ctx, alone); err != nil {
			t.Errorf("repair the cluster: %v", err)
		}
	})
	stop := s.traffic()
	s.flows()
	s.must("cut a node off", ground.Cluster.Isolate(s.ctx, alone))
	s.eventually("another node leads", func() error {
		if node, err := ground.Cluster.Leader(s.ctx, s.vhost(), queues[0]); err != nil || node == alone {
			return errors.Join(errors.New("it does not"), err)
		}
		return nil
	})
	t.Logf("with a node cut off jobs are done after %v", s.flows())
	s.must("join it again", ground.Cluster.Rejoin(s.ctx, alone))
	t.Logf("with all nodes after %v", s.flows())
	stop()
	s.balanced()
	s.uncharged()
}

// Two nodes of three are killed: the third alone takes nothing, so all waits, at no
// cost, until they are back.
func TestMajorityKilled(t *testing.T) {
	s := newStage(t, testenv.DatabaseURL(t))
	whole(t)
	stop := s.traffic()
	s.flows()
	for _, node := range ground.Cluster.Nodes[:2] {
		s.must("kill a node", node.Kill(s.ctx))
	}
	s.eventually("jobs wait", func() error {
		var waiting int
		if err := s.app.DB.WithContext(s.ctx).Raw(`SELECT count(*) FROM ackbox_jobs
			WHERE finished_at IS NULL AND created_at < now() - interval '5 seconds'`).Scan(&waiting).Error; err != nil {
			return err
		}
		if waiting == 0 {
			return errors.New("none does")
		}
		return nil
	})
	s.must("start them again", ground.Cluster.Start(s.ctx))
	t.Logf("with all nodes jobs are done after %v", s.flows())
	stop()
	s.balanced()
	s.uncharged()
}

// All nodes are restarted one after the other, as for an upgrade.
func TestRollingRestart(t *testing.T) {
	s := newStage(t, testenv.DatabaseURL(t))
	whole(t)
	stop := s.traffic()
	s.flows()
	for _, node := range ground.Cluster.Nodes {
		began := time.Now()
		s.must("stop a node", node.Stop(s.ctx))
		s.must("start it", node.Start(s.ctx))
		for _, queue := range queues {
			s.must("wait for its member of "+queue, ground.Cluster.Whole(s.ctx, s.vhost(), queue))
		}
		t.Logf("restarted in %.1f s; jobs are done after %v", time.Since(began).Seconds(), s.flows())
	}
	stop()
	s.balanced()
	s.uncharged()
}
