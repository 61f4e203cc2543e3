package rabbitmq_test

import (
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ackbox/ackbox/internal/testenv"
	"github.com/ackbox/ackbox/rabbitmq"
)

// There is no way of giving a message back to a quorum queue that is not counted: the
// worker relies on nothing but a fresh copy. Should a version of RabbitMQ have one,
// this is where it shows.
func TestEveryReturnCounts(t *testing.T) {
	t.Parallel()
	const returns = 3
	url := testenv.AMQPURL(t)
	ch := foreigner(t)
	for way, giveBack := range map[string]func(*amqp.Connection, *amqp.Channel, amqp.Delivery) error{
		"nack":                 func(_ *amqp.Connection, _ *amqp.Channel, d amqp.Delivery) error { return d.Nack(false, true) },
		"reject":               func(_ *amqp.Connection, _ *amqp.Channel, d amqp.Delivery) error { return d.Reject(true) },
		"close the channel":    func(_ *amqp.Connection, c *amqp.Channel, _ amqp.Delivery) error { return c.Close() },
		"close the connection": func(conn *amqp.Connection, _ *amqp.Channel, _ amqp.Delivery) error { return conn.Close() },
	} {
		if _, err := ch.QueueDeclare(way, true, false, false, false, amqp.Table{"x-queue-type": "quorum"}); err != nil {
			t.Fatal(err)
		}
		if err := ch.Publish("", way, false, false, amqp.Publishing{}); err != nil {
			t.Fatal(err)
		}
		for n := range returns + 1 {
			d, conn, c := takeOne(t, url, way)
			if got, _ := d.Headers["x-delivery-count"].(int64); int(got) != n {
				t.Errorf("%s: after %d returns the count is %v", way, n, d.Headers["x-delivery-count"])
			}
			if err := giveBack(conn, c, d); err != nil {
				t.Fatalf("%s: %v", way, err)
			}
			_ = conn.Close()
		}
	}
}

// What is ours bears more returns than the 20 beyond which RabbitMQ 4 drops a message
// where nothing is said.
func TestReturnsDropNothingOfOurs(t *testing.T) {
	t.Parallel()
	f := ready(t, rabbitmq.Config{RetryLadder: ladder})
	if err := foreigner(t).Publish("", work, false, false, amqp.Publishing{MessageId: "m"}); err != nil {
		t.Fatal(err)
	}
	const returns = 45 // over twice as many
	s := f.subscribe(work, 1)
	d := s.next()
	// A queue that seems empty is asked for a message, which is given back if it has one.
	began := d.Returns
	for n := range returns {
		if d.Returns != began+n || d.Limit != 0 {
			t.Fatalf("after %d returns: %d, limit %d; %d before", n, d.Returns, d.Limit, began)
		}
		f.must("Requeue", d.Receipt.Requeue())
		d = s.next()
	}
	f.must("Retry", f.Retry(f.ctx, d, 0))
	f.must("Ack", d.Receipt.Ack())
	if d = s.next(); d.ID != "m" || d.Returns != 0 {
		t.Errorf("%q came, returned %d times; want a fresh copy of m", d.ID, d.Returns)
	}
	f.must("Ack", d.Receipt.Ack())
}

// takeOne takes a message by a connection of its own, whose consumer is cancelled: it
// gets nothing that it gives back.
func takeOne(t *testing.T, url, queue string) (amqp.Delivery, *amqp.Connection, *amqp.Channel) {
	t.Helper()
	conn, err := amqp.Dial(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	c, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Qos(1, 0, false); err != nil {
		t.Fatal(err)
	}
	deliveries, err := c.Consume(queue, "one", false, false, false, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	d, ok := <-deliveries
	if !ok {
		t.Fatalf("queue %s: the consumer ended", queue)
	}
	if err := c.Cancel("one", false); err != nil {
		t.Fatal(err)
	}
	return d, conn, c
}
