package interop_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/testenv/servers"
	"github.com/ackbox/ackbox/rabbitmq"
)

// orphaned is in the error of a copy whose like was given up before. One that a killed
// worker had put aside and not acknowledged may have come back at an earlier try.
const orphaned = "a copy of a message that was given up"

// checkDead looks at the dead messages of a queue, as another program sees them and as
// the broker tells of them, and returns all their copies.
func checkDead(t *testing.T, node *servers.RabbitMQ, b *rabbitmq.Broker, queue string) (copies []ackbox.DeadMessage) {
	t.Helper()
	client, _, _ := strings.Cut(queue, ".")
	byID := buried(t, b, queue)
	if len(byID) != 10 {
		t.Errorf("%s: %d different messages are dead, want 10", queue, len(byID))
	}
	for _, same := range byID {
		copies = append(copies, same...)
	}
	for _, m := range copies {
		n := numberIn(t, m)
		w := wanted(client, n)
		switch {
		case !w.always, m.Kind != w.kind, m.Exchange != w.exchange, m.RoutingKey != w.key, m.Queue != queue,
			m.Attempt != maxAttempts && !strings.Contains(m.Error, orphaned), m.Attempt < 1 || m.Attempt > maxAttempts,
			!strings.Contains(m.Error, errNoStock.Error()) && !strings.Contains(m.Error, orphaned), m.FirstSeen.IsZero(), m.DiedAt.Before(m.FirstSeen), time.Since(m.DiedAt) > time.Hour,
			w.hasID != (m.ID == fmt.Sprintf("%s-%d", client, n)):
			t.Errorf("%s: dead message of order %d: kind %q, exchange %q, key %q, queue %q, attempt %d, id %q, error %q, first seen %v, died %v, want %+v",
				queue, n, m.Kind, m.Exchange, m.RoutingKey, m.Queue, m.Attempt, m.ID, m.Error, m.FirstSeen, m.DiedAt, w)
		}
	}
	withChannel(t, node.URL(), func(ch *amqp.Channel) error { return checkHeaders(t, ch, queue+".dead", len(copies)) })
	return copies
}

// checkHeaders looks at n messages of a dead queue with nothing but AMQP. Closing the
// channel gives them back.
func checkHeaders(t *testing.T, ch *amqp.Channel, queue string, n int) error {
	t.Helper()
	for range n {
		m, ok, err := ch.Get(queue, false)
		if err != nil || !ok {
			return fmt.Errorf("%s has no further message: %w", queue, err)
		}
		for _, name := range []string{
			ackbox.HeaderExchange, ackbox.HeaderRoutingKey, ackbox.HeaderQueue, ackbox.HeaderKind,
			ackbox.HeaderError, ackbox.HeaderAttempt, ackbox.HeaderFirstSeen, ackbox.HeaderDiedAt,
		} {
			if _, ok := m.Headers[name]; !ok {
				t.Errorf("%s: a message lacks the header %s: %v", queue, name, m.Headers)
			}
		}
		if _, ok := m.Headers[ackbox.HeaderID]; ok != (m.MessageId == "") {
			t.Errorf("%s: message-id %q beside the header %s: %v", queue, m.MessageId, ackbox.HeaderID, ok)
		}
	}
	return nil
}

// requeue brings the dead messages of a queue back by filters. What a filter moves is
// what its dry run has told.
func requeue(t *testing.T, b *rabbitmq.Broker, queue string) {
	t.Helper()
	for _, filter := range []ackbox.DeadFilter{{Kind: "order.unnamed"}, {Exchange: exchange}, {Error: errNoStock.Error()}, {Error: orphaned}} {
		dry, err := b.Dead(t.Context(), queue, filter, 1000)
		if err != nil {
			t.Fatal(err)
		}
		moved, err := b.RequeueDead(t.Context(), queue, filter, 1000)
		if err != nil || moved != dry.Matched || (moved == 0 && filter.Error != orphaned) {
			t.Errorf("%s: %+v moves %d (%v), its dry run has told %d", queue, filter, moved, err, dry.Matched)
		}
	}
}

// empty reports what is left in a queue, or in one beside it.
func empty(t *testing.T, node *servers.RabbitMQ, queue string) error {
	t.Helper()
	left := ""
	withChannel(t, node.URL(), func(ch *amqp.Channel) error {
		for _, name := range []string{queue, queue + ".dead", queue + ".dlq", queue + ".retry.200"} {
			q, err := ch.QueueDeclarePassive(name, true, false, false, false, nil)
			if err != nil {
				return err
			}
			if q.Messages > 0 {
				left += fmt.Sprintf(" %s: %d", name, q.Messages)
			}
		}
		return nil
	})
	if left != "" {
		return fmt.Errorf("messages are left:%s", left)
	}
	return nil
}

// numberIn is the order's number that a dead message has in its body.
func numberIn(t *testing.T, m ackbox.DeadMessage) int {
	t.Helper()
	var body io.Reader = bytes.NewReader(m.Message.Body)
	if m.Message.ContentEncoding == "gzip" {
		unzipped, err := gzip.NewReader(body)
		if err != nil {
			t.Fatal(err)
		}
		body = unzipped
	}
	var o order
	if err := json.NewDecoder(body).Decode(&o); err != nil {
		t.Fatal(err)
	}
	return number(o.Order)
}
