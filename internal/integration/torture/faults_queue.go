//go:build unix

package torture

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ackbox/ackbox/internal/testenv/servers"
)

// queueFaults are of one queue of many. They are of the broker's group: each needs a
// broker that answers.
func queueFaults() []fault {
	at := func(name string, command string) fault {
		return fault{"broker", name, func(ctx context.Context, r *run, rnd *rand.Rand) (string, error) {
			queue := r.queue(rnd)
			err := r.ctl(ctx, command, queue)
			if err != nil && strings.Contains(err.Error(), "not_found") { // nobody has declared it yet
				return queue + ", which is not there", nil
			}
			return queue, err
		}}
	}
	return []fault{
		at("queue deleted", "delete_queue"),
		at("queue purged", "purge_queue"),
		{"broker", "queue stalled", stallQueue},
		{"broker", "queue declared with other arguments", driftQueue},
	}
}

// stallQueue silences a queue for a while, as one without a majority is: it takes
// what is sent to it, and answers nothing.
func stallQueue(ctx context.Context, r *run, rnd *rand.Rand) (string, error) {
	queue, d, node := r.queue(rnd), between(rnd, time.Second, 8*time.Second), r.site.RabbitMQ
	if r.site.Cluster != nil {
		var err error
		if node, err = r.site.Cluster.Leader(ctx, "/", queue); err != nil {
			return "", err
		}
	}
	// Its process may have another queue's name by now, or none: then it is well.
	tell := func(ctx context.Context, what string) error {
		_, err := node.Ctl(ctx, "eval", fmt.Sprintf(`case whereis(list_to_atom("%%2F_%s")) of undefined -> ok; P -> sys:%s(P) end.`, queue, what))
		return err
	}
	err := tell(ctx, "suspend")
	hold(ctx, d)
	return fmt.Sprintf("%s, %v", queue, d), errors.Join(err, tell(context.WithoutCancel(ctx), "resume"))
}

// driftQueue puts a queue of another type in a queue's place for a while, as a
// deploy does that goes half way. What was in it is gone.
func driftQueue(ctx context.Context, r *run, rnd *rand.Rand) (detail string, err error) {
	queue, d := r.queue(rnd), between(rnd, time.Second, 8*time.Second)
	if err := r.replaceQueue(ctx, queue); err != nil {
		return "", err
	}
	hold(ctx, d)
	err = r.ctl(context.WithoutCancel(ctx), "delete_queue", queue)
	return fmt.Sprintf("%s, %v", queue, d), err
}

// replaceQueue deletes a queue and declares it as another, before its business does.
func (r *run) replaceQueue(ctx context.Context, queue string) error {
	conn, err := amqp.Dial(r.site.RabbitMQ.URL())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	err = servers.Until(ctx, func(context.Context) error {
		ch, err := conn.Channel()
		if err != nil {
			return err
		}
		if _, err := ch.QueueDelete(queue, false, false, false); err != nil {
			return err
		}
		if _, err := ch.QueueDeclare(queue, true, false, false, false, amqp.Table{"x-queue-type": "classic"}); err != nil {
			return err // its business was faster, and the channel is closed
		}
		return ch.Close()
	})
	return errors.Join(err, conn.Close())
}
