//go:build unix

package torture

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/ackbox/ackbox/internal/testenv/servers"
)

// clusterFaults are of a broker of several nodes. They are of the broker's group, so
// that every node is up when another of its faults strikes.
func clusterFaults() []fault {
	return []fault{
		{"broker", "a queue's leader killed", func(ctx context.Context, r *run, rnd *rand.Rand) (string, error) {
			leader, queue, err := r.leader(ctx, rnd)
			if err != nil {
				return "", err
			}
			return r.killNode(ctx, rnd, leader, queue)
		}},
		{"broker", "a queue's follower killed", func(ctx context.Context, r *run, rnd *rand.Rand) (string, error) {
			leader, queue, err := r.leader(ctx, rnd)
			if err != nil {
				return "", err
			}
			return r.killNode(ctx, rnd, r.site.Cluster.Follower(leader), queue)
		}},
		{"broker", "a node cut off from the others", cutNodeOff},
		{"broker", "nodes restarted one by one", restartNodes},
	}
}

// leader draws a queue and finds who leads it.
func (r *run) leader(ctx context.Context, rnd *rand.Rand) (*servers.RabbitMQ, string, error) {
	queue := r.queue(rnd)
	leader, err := r.site.Cluster.Leader(ctx, "/", queue)
	return leader, queue, err
}

func (r *run) killNode(ctx context.Context, rnd *rand.Rand, node *servers.RabbitMQ, queue string) (string, error) {
	d := between(rnd, 0, 5*time.Second)
	if err := node.Kill(ctx); err != nil {
		return "", err
	}
	hold(ctx, d)
	return fmt.Sprintf("of %s, %v", queue, d), r.startNode(ctx, node)
}

func cutNodeOff(ctx context.Context, r *run, rnd *rand.Rand) (string, error) {
	d := between(rnd, time.Second, 8*time.Second)
	alone := r.site.Cluster.Nodes[rnd.IntN(len(r.site.Cluster.Nodes))]
	err := r.site.Cluster.Isolate(ctx, alone)
	hold(ctx, d)
	return d.String(), errors.Join(err, r.site.Cluster.Rejoin(context.WithoutCancel(ctx), alone))
}

func restartNodes(ctx context.Context, r *run, _ *rand.Rand) (string, error) {
	for _, node := range r.site.Cluster.Nodes {
		if err := errors.Join(node.Stop(ctx), r.startNode(ctx, node)); err != nil {
			return "", err
		}
	}
	return "", nil
}
