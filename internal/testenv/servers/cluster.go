//go:build unix

package servers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/ackbox/ackbox/internal/testenv/management"
)

// Cluster is a few RabbitMQ nodes that know each other, as on machines of their
// own. Make it with NewCluster. Its nodes may be stopped, killed, frozen and started
// one by one; Start and Stop are for all. Like a node it is for one goroutine at a
// time.
type Cluster struct {
	Nodes []*RabbitMQ
	// Epmd is the port mapper of all nodes.
	Epmd Process
}

// NewCluster prepares n nodes with config in each one's rabbitmq.conf. A node that
// sees less than half of the others stops until that changes: what RabbitMQ
// recommends where queues are quorum queues. It starts nothing.
func NewCluster(n int, config ...string) (*Cluster, error) {
	var epmd int
	if err := fillPorts(&epmd); err != nil {
		return nil, err
	}
	c := &Cluster{}
	cookie, password := secret(), secret()
	for range n {
		node, err := NewRabbitMQ(RabbitMQOptions{EpmdPort: epmd, SharedEpmd: true, Cookie: cookie, Password: password})
		if err != nil {
			return nil, errors.Join(err, c.Remove())
		}
		c.Nodes = append(c.Nodes, node)
	}
	lines := []string{"cluster_formation.peer_discovery_backend = classic_config", "cluster_partition_handling = pause_minority"}
	for i, node := range c.Nodes {
		lines = append(lines, fmt.Sprintf("cluster_formation.classic_config.nodes.%d = %s", i+1, node.Name()))
	}
	for _, node := range c.Nodes {
		node.Options.Config = slices.Concat(lines, config)
	}
	return c, nil
}

// Start starts the nodes that do not run, all at once, and waits until they have
// found each other.
func (c *Cluster) Start(ctx context.Context) (err error) {
	if !c.Epmd.Alive() {
		first := c.Nodes[0].Options
		if c.Epmd, err = launchEpmd(first.EpmdPort, first.Dir, c.Nodes[0].Log()); err != nil {
			return err
		}
		if err := Until(ctx, func(ctx context.Context) error {
			return dial(ctx, net.JoinHostPort(Host, strconv.Itoa(first.EpmdPort)))
		}); err != nil {
			return fmt.Errorf("epmd: %w", err)
		}
	}
	var all sync.WaitGroup
	errs := make([]error, len(c.Nodes))
	for i, node := range c.Nodes {
		all.Go(func() { errs[i] = node.Start(ctx) })
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return c.Together(ctx)
}

// Together waits until every node counts every other as running.
func (c *Cluster) Together(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, rabbitStart)
	defer cancel()
	for _, node := range c.Nodes {
		client, err := management.New(node.API())
		if err != nil {
			return err
		}
		err = Until(ctx, func(ctx context.Context) error {
			n, err := client.RunningNodes(ctx)
			if err == nil && n != len(c.Nodes) {
				err = fmt.Errorf("%s sees %d nodes of %d", node.Name(), n, len(c.Nodes))
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("RabbitMQ: the cluster is not together: %w", err)
		}
	}
	return nil
}

// Stop shuts all nodes down and waits until they are gone.
func (c *Cluster) Stop(ctx context.Context) error {
	var all sync.WaitGroup
	errs := make([]error, len(c.Nodes))
	for i, node := range c.Nodes {
		all.Go(func() { errs[i] = node.Stop(ctx) })
	}
	all.Wait()
	return errors.Join(errors.Join(errs...), c.Epmd.stop(ctx, syscall.SIGTERM, 5*time.Second))
}

// Kill ends all nodes with SIGKILL, which spares the time of a Stop.
func (c *Cluster) Kill(ctx context.Context) error {
	var errs []error
	for _, node := range c.Nodes {
		errs = append(errs, node.Kill(ctx))
	}
	return errors.Join(append(errs, c.Epmd.kill(ctx))...)
}

// Remove deletes the folders of a cluster that is not running.
func (c *Cluster) Remove() error {
	var errs []error
	for _, node := range c.Nodes {
		errs = append(errs, node.Remove())
	}
	return errors.Join(errs...)
}

// URLs are the nodes' AMQP addresses, those of the vhost "/".
func (c *Cluster) URLs() []string {
	urls := make([]string, len(c.Nodes))
	for i, node := range c.Nodes {
		urls[i] = node.URL()
	}
	return urls
}

// Isolate cuts a node off from all others, as a network between machines does: they
// do not reach each other, and clients reach both sides. Rejoin undoes it.
func (c *Cluster) Isolate(ctx context.Context, alone *RabbitMQ) error {
	// A node that asks with another cookie is turned away, from either side.
	var cut []string
	for _, peer := range c.others(alone) {
		cut = append(cut, fmt.Sprintf("erlang:set_cookie('%s', cut_off), erlang:disconnect_node('%s')", peer.Name(), peer.Name()))
	}
	_, err := alone.Ctl(ctx, "eval", strings.Join(cut, ", ")+".")
	return err
}

// Rejoin undoes Isolate and waits until the cluster is together.
func (c *Cluster) Rejoin(ctx context.Context, alone *RabbitMQ) error {
	var mend []string
	for _, peer := range c.others(alone) {
		mend = append(mend, fmt.Sprintf("erlang:set_cookie('%s', erlang:get_cookie())", peer.Name()))
	}
	if _, err := alone.Ctl(ctx, "eval", strings.Join(mend, ", ")+"."); err != nil {
		return err
	}
	return c.Together(ctx)
}

// Leader finds the node that leads a quorum queue. It asks a node that runs.
func (c *Cluster) Leader(ctx context.Context, vhost, queue string) (leader *RabbitMQ, err error) {
	ctx, cancel := context.WithTimeout(ctx, rabbitCtl)
	defer cancel()
	err = Until(ctx, func(ctx context.Context) error {
		q, err := c.quorumQueue(ctx, vhost, queue)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(c.Nodes, func(n *RabbitMQ) bool { return n.Name() == q.Leader && slices.Contains(q.Online, q.Leader) })
		if i < 0 {
			return fmt.Errorf("queue %s has no leader", queue)
		}
		leader = c.Nodes[i]
		return nil
	})
	return leader, err
}

// Whole waits until every node has a running member of a quorum queue.
func (c *Cluster) Whole(ctx context.Context, vhost, queue string) error {
	ctx, cancel := context.WithTimeout(ctx, rabbitCtl)
	defer cancel()
	return Until(ctx, func(ctx context.Context) error {
		q, err := c.quorumQueue(ctx, vhost, queue)
		if err == nil && len(q.Online) != len(c.Nodes) {
			err = fmt.Errorf("queue %s has members on %v only", queue, q.Online)
		}
		return err
	})
}

// Follower is a node that runs and is not the leader.
func (c *Cluster) Follower(leader *RabbitMQ) *RabbitMQ {
	for _, node := range c.others(leader) {
		if node.Process.Alive() {
			return node
		}
	}
	return nil
}

func (c *Cluster) others(but *RabbitMQ) []*RabbitMQ {
	return slices.DeleteFunc(slices.Clone(c.Nodes), func(n *RabbitMQ) bool { return n == but })
}

// quorumQueue is what the cluster says of a queue.
type quorumQueue struct {
	Name   string   `json:"name"`
	Leader string   `json:"leader"`
	Online []string `json:"online"`
}

func (c *Cluster) quorumQueue(ctx context.Context, vhost, queue string) (quorumQueue, error) {
	errs := []error{errors.New("no node runs")}
	for _, node := range c.Nodes {
		if !node.Process.Alive() {
			continue
		}
		out, err := node.Ctl(ctx, "-q", "list_queues", "-p", vhost, "name", "leader", "online", "--formatter", "json")
		var all []quorumQueue
		if err == nil {
			err = json.Unmarshal([]byte(out), &all)
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if i := slices.IndexFunc(all, func(q quorumQueue) bool { return q.Name == queue }); i >= 0 {
			return all[i], nil
		}
		return quorumQueue{}, fmt.Errorf("there is no queue %s", queue)
	}
	return quorumQueue{}, errors.Join(errs...)
}
