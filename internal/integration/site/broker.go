//go:build unix

package site

import (
	"context"
	"errors"

	"github.com/ackbox/ackbox/internal/testenv/servers"
)

// prepareBroker makes a node, or a cluster of several.
func (s *Site) prepareBroker(nodes int) (err error) {
	if nodes == 1 {
		s.RabbitMQ, err = servers.NewRabbitMQ(servers.RabbitMQOptions{})
		return err
	}
	if s.Cluster, err = servers.NewCluster(nodes); err != nil {
		return err
	}
	s.RabbitMQ = s.Cluster.Nodes[0]
	return nil
}

func (s *Site) startBroker(ctx context.Context) error {
	if s.Cluster != nil {
		return s.Cluster.Start(ctx)
	}
	return s.RabbitMQ.Start(ctx)
}

func (s *Site) closeBroker(ctx context.Context) error {
	switch {
	case s.Cluster != nil:
		return errors.Join(s.Cluster.Kill(ctx), s.Cluster.Remove())
	case s.RabbitMQ != nil:
		return errors.Join(s.RabbitMQ.Stop(ctx), s.RabbitMQ.Remove())
	}
	return nil
}

func (s *Site) nodes() []*servers.RabbitMQ {
	if s.Cluster != nil {
		return s.Cluster.Nodes
	}
	return []*servers.RabbitMQ{s.RabbitMQ}
}
