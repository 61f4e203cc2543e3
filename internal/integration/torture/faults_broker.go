//go:build unix

package torture

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/ackbox/ackbox/internal/integration/shop"
	"github.com/ackbox/ackbox/internal/testenv/servers"
)

// brokerFaults are of a node: of a cluster, the first.
func brokerFaults() []fault {
	ctl := func(name string, low, high time.Duration, begin []string, end ...string) fault {
		return fault{"broker", name, func(ctx context.Context, r *run, rnd *rand.Rand) (string, error) {
			d := between(rnd, low, high)
			if err := r.ctl(ctx, begin...); err != nil || len(end) == 0 {
				return "", err
			}
			hold(ctx, d)
			err := r.ctl(context.WithoutCancel(ctx), end...)
			return d.String(), err
		}}
	}
	return []fault{
		ctl("application stopped and started", 0, 2*time.Second, []string{"stop_app"}, "start_app"),
		ctl("every connection closed", 0, 0, []string{"close_all_connections", "torture"}),
		ctl("memory alarm", time.Second, 5*time.Second, []string{"set_vm_memory_high_watermark", "0.0000001"}, "set_vm_memory_high_watermark", "0.4"),
		ctl("disk alarm", time.Second, 5*time.Second, []string{"set_disk_free_limit", "99999GB"}, "set_disk_free_limit", "50MB"),
		{"broker", "listeners suspended", suspendListeners},
		{"broker", "exchange deleted", deleteExchange},
		{"broker", "killed", killBroker},
		{"broker", "frozen", freezeBroker},
	}
}

// loneFaults are of a broker that is one node: what it forgets nobody remembers.
func loneFaults() []fault {
	return []fault{{"broker", "killed and its disk wiped", wipeBroker}}
}

// ctl runs rabbitmqctl. A node that has just been started listens a moment before
// it counts as running: then it is asked again.
func (r *run) ctl(ctx context.Context, args ...string) (err error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	errUntil := servers.Until(ctx, func(ctx context.Context) error {
		_, err = r.site.RabbitMQ.Ctl(ctx, args...)
		if err != nil && strings.Contains(err.Error(), "requires the 'rabbit' app to be running") {
			return err
		}
		return nil
	})
	return errors.Join(err, errUntil)
}

// suspendListeners lets no new connection in, and cuts those that there are.
func suspendListeners(ctx context.Context, r *run, rnd *rand.Rand) (string, error) {
	d := between(rnd, 0, 4*time.Second)
	err := r.ctl(ctx, "suspend_listeners")
	if err == nil {
		err = r.ctl(ctx, "close_all_connections", "torture")
		hold(ctx, d)
	}
	errResume := r.ctl(context.WithoutCancel(ctx), "resume_listeners")
	return d.String(), errors.Join(err, errResume)
}

func deleteExchange(ctx context.Context, r *run, _ *rand.Rand) (string, error) {
	err := r.ctl(ctx, "eval",
		`rabbit_exchange:delete(rabbit_misc:r(<<"/">>, exchange, <<"`+shop.Exchange+`">>), false, <<"torture">>).`)
	return "", err
}

func killBroker(ctx context.Context, r *run, rnd *rand.Rand) (string, error) {
	d := between(rnd, 0, 3*time.Second)
	if err := r.site.RabbitMQ.Kill(ctx); err != nil {
		return "", err
	}
	hold(ctx, d)
	return d.String(), r.startNode(ctx, r.site.RabbitMQ)
}

// startNode starts a node again and waits until it counts as one of its cluster.
func (r *run) startNode(ctx context.Context, node *servers.RabbitMQ) error {
	ctx = context.WithoutCancel(ctx)
	if err := node.Start(ctx); err != nil || r.site.Cluster == nil {
		return err
	}
	return r.site.Cluster.Together(ctx)
}

func wipeBroker(ctx context.Context, r *run, rnd *rand.Rand) (string, error) {
	d := between(rnd, 0, time.Second)
	if err := r.site.RabbitMQ.Kill(ctx); err != nil {
		return "", err
	}
	errWipe := r.site.RabbitMQ.Wipe()
	hold(ctx, d)
	return d.String(), errors.Join(errWipe, r.site.RabbitMQ.Start(context.WithoutCancel(ctx)))
}

func freezeBroker(ctx context.Context, r *run, rnd *rand.Rand) (string, error) {
	d := between(rnd, 200*time.Millisecond, 6*time.Second)
	if err := r.site.RabbitMQ.Freeze(); err != nil {
		return "", err
	}
	hold(ctx, d)
	return d.String(), r.site.RabbitMQ.Thaw()
}
