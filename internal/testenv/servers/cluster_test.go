//go:build unix

package servers

import (
	"context"
	"errors"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// Three nodes find each other, and have a queue together: a node that is killed or
// cut off takes it from nobody.
func TestCluster(t *testing.T) {
	t.Parallel()
	c, err := NewCluster(3)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(c.Kill(context.Background()), c.Remove()); err != nil {
			t.Error(err)
		}
	})
	must := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	began := time.Now()
	must("start", c.Start(t.Context()))
	t.Logf("started in %v", time.Since(began))
	declare(t, c.URLs()[1])
	must("members", c.Whole(t.Context(), "/", "work"))
	first, err := c.Leader(t.Context(), "/", "work")
	must("find the leader", err)

	must("kill", first.Kill(t.Context()))
	second := other(t, c, first)
	must("start it again", first.Start(t.Context()))
	must("members", c.Whole(t.Context(), "/", "work"))

	must("isolate", c.Isolate(t.Context(), second))
	third := other(t, c, second)
	declare(t, third.URL())
	must("rejoin", c.Rejoin(t.Context(), second))
	must("members", c.Whole(t.Context(), "/", "work"))
	t.Logf("done after %v", time.Since(began))
}

// declare makes the queue, or finds it.
func declare(t *testing.T, url string) {
	t.Helper()
	conn, err := amqp.Dial(url)
	if err != nil {
		t.Fatal(err)
	}
	ch, err := conn.Channel()
	if err == nil {
		_, err = ch.QueueDeclare("work", true, false, false, false, amqp.Table{"x-queue-type": "quorum"})
	}
	if err := errors.Join(err, conn.Close()); err != nil {
		t.Fatal(err)
	}
}

// other waits until another node than before leads the queue.
func other(t *testing.T, c *Cluster, before *RabbitMQ) (now *RabbitMQ) {
	t.Helper()
	err := Until(t.Context(), func(ctx context.Context) (err error) {
		if now, err = c.Leader(ctx, "/", "work"); err == nil && now == before {
			err = errors.New("the leader is the old one")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return now
}
