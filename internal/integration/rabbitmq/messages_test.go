package rabbitmq_test

import (
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/rabbitmq"
)

// The exchange and the routing key by which a message came, and all else that its
// producer said, are the same on every try, in the dead queue and after it.
func TestWayIsKept(t *testing.T) {
	t.Parallel()
	f := ready(t, rabbitmq.Config{RetryLadder: ladder, Topology: ackbox.Topology{
		Exchanges: []ackbox.Exchange{{Name: "shop", Kind: ackbox.Topic}},
		Queues:    []ackbox.Queue{{Name: work, Bindings: []ackbox.Binding{{Exchange: "shop", RoutingKey: "order.#"}}}},
	}})
	ch := foreigner(t)
	sent := amqp.Publishing{
		MessageId: "m", Type: "order.paid", AppId: "shop", CorrelationId: "c", ReplyTo: "answers", ContentType: "application/json",
		Headers: amqp.Table{"raw": []byte{0, 0xff}, "n": int32(7), "deep": amqp.Table{"list": []any{"x", int64(1)}}}, Body: []byte("{}"),
	}
	if err := ch.Publish("shop", "order.eu.paid", false, false, sent); err != nil {
		t.Fatal(err)
	}
	s := f.subscribe(work, 1)
	same := func(job ackbox.Job) {
		t.Helper()
		m := job.Message
		if job.Exchange != "shop" || job.RoutingKey != "order.eu.paid" || m == nil || m.Exchange != "shop" || m.RoutingKey != "order.eu.paid" {
			t.Errorf("it came by %q and %q; the message is %+v", job.Exchange, job.RoutingKey, m)
			return
		}
		raw, _ := m.Headers["raw"].([]byte)
		if string(raw) != "\x00\xff" || m.Headers["n"] != int32(7) || job.Headers["raw"] != "AP8=" || job.Headers["deep"] != `{"list":["x",1]}` {
			t.Errorf("headers are %#v and %q", m.Headers, job.Headers)
		}
		if m.ID != "m" || m.Type != "order.paid" || m.AppID != "shop" || m.CorrelationID != "c" || m.ReplyTo != "answers" || m.ContentType != "application/json" {
			t.Errorf("properties are %+v", m)
		}
	}
	began := time.Now().Truncate(time.Second)
	d := s.next()
	for range 2 {
		same(d.Job)
		again := d
		again.Attempt++
		f.must("Retry", f.Retry(f.ctx, again, 0))
		f.must("Ack", d.Receipt.Ack())
		d = s.next()
	}
	same(d.Job)
	d.Kind = "as configured"
	f.must("Bury", f.Bury(f.ctx, d, "handler: no"))
	f.must("Ack", d.Receipt.Ack())

	for range 3 { // looking changes nothing
		report, err := f.Dead(f.ctx, work, ackbox.DeadFilter{}, 10)
		f.must("Dead", err)
		if len(report.Messages) != 1 || report.Matched != 1 || report.Looked != 1 || !report.Complete {
			t.Fatalf("%+v", report)
		}
		m := report.Messages[0]
		same(m.Job)
		if m.ID != "m" || m.Kind != "as configured" || m.Queue != work || m.Error != "handler: no" || m.Attempt != 3 ||
			m.FirstSeen.Before(began) || m.DiedAt.Before(m.FirstSeen) || m.DiedAt.After(time.Now()) {
			t.Errorf("%+v", m)
		}
	}
	if n, err := f.RequeueDead(f.ctx, work, ackbox.DeadFilter{}, 10); n != 1 || err != nil {
		t.Fatalf("RequeueDead: %d, %v", n, err)
	}
	d = s.next()
	same(d.Job)
	if d.Attempt != 4 || d.AttemptsBefore != 3 || d.Kind != "order.paid" {
		t.Errorf("requeued as %+v", d.Job)
	}
	f.must("Ack", d.Receipt.Ack())
}

// A queue that somebody else has declared, with whatever arguments, is consumed as it is;
// what stands beside it is ours.
func TestSomebodyElsesQueue(t *testing.T) {
	t.Parallel()
	ch := foreigner(t)
	const odd = "the mail queue / Éu (old)"
	if err := ch.ExchangeDeclare("theirs", "headers", true, false, true, false, amqp.Table{"alternate-exchange": "amq.fanout"}); err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string]amqp.Table{
		"classic": {"x-message-ttl": int32(600_000), "x-dead-letter-exchange": "dlx", "x-max-priority": int16(5), "x-single-active-consumer": true},
		"quorum":  {"x-queue-type": "quorum", "x-delivery-limit": int32(5), "x-max-length": int32(100)},
		odd:       nil,
	} {
		if _, err := ch.QueueDeclare(name, true, false, false, false, args); err != nil {
			t.Fatal(err)
		}
	}
	f := ready(t, rabbitmq.Config{RetryLadder: ladder, Topology: ackbox.Topology{
		Exchanges: []ackbox.Exchange{{Name: "theirs", Passive: true}, {Name: "amq.topic", Passive: true}},
		Queues: []ackbox.Queue{
			{Name: "classic", Type: ackbox.Classic, Passive: true},
			{Name: "quorum", Passive: true, DeliveryLimit: 5},
			{Name: odd, Type: ackbox.Classic, Passive: true},
			{Name: work, Bindings: []ackbox.Binding{{Exchange: "amq.topic", RoutingKey: "#"}}},
		},
	}})
	if got := f.Unavailable(); len(got) > 0 {
		t.Fatalf("%v are not available: %s", got, f.log)
	}
	for queue, limit := range map[string]int{"classic": 0, "quorum": 5, odd: 0} {
		if err := ch.Publish("", queue, false, false, amqp.Publishing{MessageId: "m", Body: []byte("{}")}); err != nil {
			t.Fatal(err)
		}
		s := f.subscribe(queue, 1)
		d := s.next()
		if d.Limit != limit {
			t.Errorf("%s bears %d returns, want %d", queue, d.Limit, limit)
		}
		f.must("Retry", f.Retry(f.ctx, d, 0))
		f.must("Ack", d.Receipt.Ack())
		d = s.next()
		f.must("Bury", f.Bury(f.ctx, d, "no"))
		f.must("Ack", d.Receipt.Ack())
		f.waits(queue+".dead", 1)
	}
	// One that is not there is said so, and made by nobody but its owner.
	missing := open(t, rabbitmq.Config{Topology: ackbox.Topology{Queues: []ackbox.Queue{{Name: "nowhere", Passive: true}, {Name: good}}}})
	missing.must("Ready", missing.Ready(missing.ctx))
	eventually(t, func() bool { return strings.Contains(missing.log.String(), "queue nowhere does not exist") }, func() any { return missing.log })
	if _, err := foreigner(t).QueueDeclarePassive("nowhere", true, false, false, false, nil); err == nil {
		t.Error("it was made")
	}
}

// Every argument can be said, in such a form that others can declare the same.
func TestQueueArguments(t *testing.T) {
	t.Parallel()
	topology := ackbox.Topology{
		Exchanges: []ackbox.Exchange{{Name: "x", Kind: ackbox.Headers, Arguments: map[string]any{"alternate-exchange": "amq.fanout"}}},
		Queues: []ackbox.Queue{
			{Name: work, Type: ackbox.Classic, Arguments: map[string]any{"x-message-ttl": 600_000, "x-max-priority": 5, "x-dead-letter-exchange": "dlx"}, Bindings: []ackbox.Binding{
				{Exchange: "x", Arguments: map[string]any{"x-match": "all", "region": "eu"}},
			}},
			{Name: "limited", DeliveryLimit: 3},
		},
	}
	f := ready(t, rabbitmq.Config{Topology: topology})
	ch := foreigner(t)
	for name, args := range map[string]amqp.Table{
		work:      {"x-message-ttl": int32(600_000), "x-max-priority": int8(5), "x-dead-letter-exchange": "dlx"},
		"limited": {"x-queue-type": "quorum", "x-delivery-limit": int16(3)},
	} {
		if _, err := ch.QueueDeclare(name, true, false, false, false, args); err != nil {
			t.Fatalf("another client's declaration of %s: %v", name, err)
		}
	}
	for i, region := range []string{"us", "eu"} {
		if err := ch.Publish("x", "", false, false, amqp.Publishing{MessageId: region, Headers: amqp.Table{"region": region}}); err != nil {
			t.Fatal(err)
		}
		f.waits(work, i)
	}
	topology.Queues[0].Arguments = map[string]any{"x-message-ttl": 1, "x-max-priority": 5, "x-dead-letter-exchange": "dlx"}
	drifted := open(t, rabbitmq.Config{Topology: topology})
	drifted.must("Ready", drifted.Ready(drifted.ctx))
	const want = "queue work: argument x-message-ttl is 600000 on the server, 1 in Config.Topology"
	eventually(t, func() bool { return strings.Contains(drifted.log.String(), want) }, func() any { return drifted.log })
}

// Where somebody has declared a pause's queue with other arguments, another pause serves.
// That is said once, and the broker is not asked about it with every message.
func TestRefusedRung(t *testing.T) {
	t.Parallel()
	ch := foreigner(t)
	const refused, said = "work.retry.100", "queue=work.retry.100"
	wrong := func() {
		t.Helper()
		if _, err := ch.QueueDeclare(refused, true, false, false, false, amqp.Table{"x-queue-type": "classic"}); err != nil {
			t.Fatal(err)
		}
	}
	wrong()
	f := ready(t, rabbitmq.Config{RetryLadder: ladder, MaxBackoff: time.Hour})
	if err := ch.Publish("", work, false, false, amqp.Publishing{MessageId: "m"}); err != nil {
		t.Fatal(err)
	}
	s := f.subscribe(work, 1)
	for range 3 {
		d := s.next()
		f.must("Retry", f.Retry(f.ctx, d, 0))
		f.must("Ack", d.Receipt.Ack())
	}
	d := s.next()
	if d.ID != "m" {
		t.Errorf("%+v came", d)
	}
	f.waits(refused, 0)
	if n := strings.Count(f.log.String(), said); n != 1 {
		t.Errorf("the refused queue was named %d times, want once", n)
	}
	// As long as it is not asked again, nobody notices that the way is free.
	if _, err := ch.QueueDelete(refused, false, false, false); err != nil {
		t.Fatal(err)
	}
	f.must("Retry", f.Retry(f.ctx, d, 0))
	f.must("Ack", d.Receipt.Ack())
	if _, err := foreigner(t).QueueDeclarePassive(refused, true, false, false, false, nil); err == nil {
		t.Error("the refused queue was asked for again within MaxBackoff")
	}

	// Another one asks sooner.
	wrong()
	soon := ready(t, rabbitmq.Config{RetryLadder: ladder, MaxBackoff: time.Millisecond})
	d = s.next()
	for range 10 {
		soon.must("Retry", soon.Retry(f.ctx, d, 0))
	}
	if n := strings.Count(soon.log.String(), said); n != 1 {
		t.Errorf("the refused queue was named %d times, want once", n)
	}
	if _, err := ch.QueueDelete(refused, false, false, false); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool {
		soon.must("Retry", soon.Retry(f.ctx, d, 0))
		return strings.Contains(soon.log.String(), "a retry queue is declared again")
	}, func() any { return soon.log })
	f.must("Ack", d.Receipt.Ack())
}
