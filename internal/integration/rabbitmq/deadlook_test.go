package rabbitmq_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/rabbitmq"
)

// heap puts n messages with the ids 0, 1, 2, … into a durable queue, which it declares.
func heap(t *testing.T, ch *amqp.Channel, queue string, args amqp.Table, n int) (ids []string) {
	t.Helper()
	if _, err := ch.QueueDeclare(queue, true, false, false, false, args); err != nil {
		t.Fatal(err)
	}
	if err := ch.Confirm(false); err != nil {
		t.Fatal(err)
	}
	var confirms []*amqp.DeferredConfirmation
	for i := range n {
		ids = append(ids, fmt.Sprint(i))
		msg := amqp.Publishing{MessageId: ids[i], Type: "k", DeliveryMode: amqp.Persistent, Headers: amqp.Table{ackbox.HeaderError: "cause"}}
		confirm, err := ch.PublishWithDeferredConfirm("", queue, true, false, msg)
		if err != nil {
			t.Fatal(err)
		}
		confirms = append(confirms, confirm)
	}
	for _, confirm := range confirms {
		if !confirm.Wait() {
			t.Fatal("a message is refused")
		}
	}
	return ids
}

// ourDead are the arguments that a dead queue of ours has.
func ourDead(kind ackbox.QueueType) amqp.Table {
	args := amqp.Table{"x-queue-type": string(kind)}
	if kind == ackbox.Quorum {
		args["x-delivery-limit"] = int64(1_000_000_000)
	}
	return args
}

// listed are the ids that a look finds.
func (f *fixture) listed(filter ackbox.DeadFilter) (ids []string) {
	f.t.Helper()
	report, err := f.Dead(f.ctx, work, filter, 1000)
	f.must("Dead", err)
	for _, m := range report.Messages {
		ids = append(ids, m.ID)
	}
	return ids
}

// A look leaves all messages in their place, and they are there for the next one at once:
// a dry run and what follows see the same.
func TestDeadKeepsItsOrder(t *testing.T) {
	t.Parallel()
	for _, kind := range []ackbox.QueueType{ackbox.Quorum, ackbox.Classic} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			f := ready(t, rabbitmq.Config{Topology: ackbox.Topology{Queues: []ackbox.Queue{{Name: work, Type: kind}}}})
			want := heap(t, foreigner(t), "work.dead", ourDead(kind), 150)
			for look := range 5 {
				if got := f.listed(ackbox.DeadFilter{}); !slices.Equal(got, want) {
					t.Fatalf("look %d: %d of %d messages, in the order %v", look, len(got), len(want), got)
				}
			}
			// One that goes from the middle changes nothing for the others, if all are looked at.
			if n, err := f.RequeueDead(f.ctx, work, ackbox.DeadFilter{ID: "100"}, 2); n != 1 || err != nil {
				t.Fatalf("requeued %d, %v", n, err)
			}
			want = slices.Delete(want, 100, 101)
			if got := f.listed(ackbox.DeadFilter{}); !slices.Equal(got, want) {
				t.Errorf("after a requeue: %d of %d messages, in the order %v", len(got), len(want), got)
			}
		})
	}
}

// A quorum queue of others may bear less than RabbitMQ 4 does by default.
func TestDeadOfOthersWithALimit(t *testing.T) {
	t.Parallel()
	f := ready(t, rabbitmq.Config{})
	filter := ackbox.DeadFilter{In: "theirs.dlq", DeliveryLimit: 3}
	want := heap(t, foreigner(t), filter.In, amqp.Table{"x-queue-type": "quorum", "x-delivery-limit": int32(3)}, 3)
	for look := range 10 {
		if got := f.listed(filter); !slices.Equal(got, want) {
			t.Fatalf("look %d: %v, want %v", look, got, want)
		}
	}
}

// What no frame holds with our headers stays where it is, and costs neither the others
// nor the connection.
func TestDeadMessageThatDoesNotFit(t *testing.T) {
	t.Parallel()
	p, via := proxied(t)
	f := ready(t, rabbitmq.Config{URL: via})
	ch := foreigner(t)
	heap(t, ch, "theirs.dlq", nil, 1)
	big := amqp.Publishing{MessageId: "big", Headers: amqp.Table{"h": strings.Repeat("x", 131_000)}}
	if err := ch.Publish("", "theirs.dlq", true, false, big); err != nil {
		t.Fatal(err)
	}
	heap(t, ch, "theirs.dlq", nil, 2)
	f.waits("theirs.dlq", 4)
	before := p.Accepted()
	n, err := f.RequeueDead(f.ctx, work, ackbox.DeadFilter{In: "theirs.dlq"}, 10)
	if n != 3 || err == nil || !strings.Contains(err.Error(), `1 messages stay in queue theirs.dlq: message "big"`) || !strings.Contains(err.Error(), "frames") {
		t.Errorf("moved %d, %v", n, err)
	}
	if got := f.listed(ackbox.DeadFilter{In: "theirs.dlq"}); !slices.Equal(got, []string{"big"}) {
		t.Errorf("left are %v", got)
	}
	f.waits(work, n)
	if n := p.Accepted() - before; n > 0 {
		t.Errorf("%d connections were lost", n)
	}
}

// A copy of ours that the broker has dead-lettered later knows the way of its original.
func TestDeadWayOfACopy(t *testing.T) {
	t.Parallel()
	f := ready(t, rabbitmq.Config{Topology: ackbox.Topology{
		Exchanges: []ackbox.Exchange{{Name: "shop", Kind: ackbox.Topic}},
		Queues: []ackbox.Queue{{
			Name: work, Bindings: []ackbox.Binding{{Exchange: "shop", RoutingKey: "#"}},
			Arguments: map[string]any{"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "theirs.dlq"},
		}},
	}})
	ch := foreigner(t)
	heap(t, ch, "theirs.dlq", nil, 0)
	if err := ch.Publish("shop", "order.paid", true, false, amqp.Publishing{MessageId: "a", Type: "k"}); err != nil {
		t.Fatal(err)
	}
	s := f.subscribe(work, 1)
	d := s.next()
	f.must("Retry", f.Retry(f.ctx, d, 0))
	f.must("Ack", d.Receipt.Ack())
	f.must("Requeue", s.next().Receipt.Requeue())
	s.stop()
	f.must("Consume", s.returned())
	eventually(t, func() bool { // another consumer refuses it
		got, ok, err := ch.Get(work, false)
		return err == nil && ok && got.Nack(false, false) == nil
	}, func() any { return "it does not come back" })
	f.waits("theirs.dlq", 1)
	report, err := f.Dead(f.ctx, work, ackbox.DeadFilter{In: "theirs.dlq"}, 1)
	f.must("Dead", err)
	m := report.Messages[0]
	if m.Exchange != "shop" || m.RoutingKey != "order.paid" || m.Error != "rejected" || m.Message.Exchange != "shop" {
		t.Errorf("%+v", m)
	}
	if len(m.Deaths) != 2 || m.Deaths[0].Queue != work || m.Deaths[0].Reason != "rejected" || m.Deaths[0].Count != 1 || m.Deaths[0].At.IsZero() ||
		m.Deaths[1].Queue != "work.retry.1000" || m.Deaths[1].Reason != "expired" || m.Deaths[1].RoutingKey != "work.retry.1000" {
		t.Errorf("deaths are %+v", m.Deaths)
	}
}

// Two operators at once move each message once, and a look beside them loses none.
func TestTwoOperators(t *testing.T) {
	t.Parallel()
	f := ready(t, rabbitmq.Config{})
	const n = 200
	heap(t, foreigner(t), "work.dead", ourDead(ackbox.Quorum), n)
	var all sync.WaitGroup
	moved := make([]int, 2)
	for i := range moved {
		all.Go(func() {
			for f.ctx.Err() == nil {
				more, err := f.RequeueDead(f.ctx, work, ackbox.DeadFilter{}, 30)
				if err != nil {
					t.Error(err)
					return
				}
				moved[i] += more
				if left, err := f.Waiting(f.ctx, "work.dead"); more == 0 && left == 0 && err == nil {
					return
				}
				if _, err := f.Dead(f.ctx, work, ackbox.DeadFilter{Kind: "another"}, 1); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	for f.ctx.Err() == nil && moved[0]+moved[1] < n { // what a look held when the other one ended
		more, err := f.RequeueDead(f.ctx, work, ackbox.DeadFilter{}, n)
		f.must("RequeueDead", err)
		moved[0] += more
	}
	seen := make(map[string]bool)
	s := f.subscribe(work, n)
	for range n {
		seen[s.next().ID] = true
	}
	f.waits("work.dead", 0)
	f.waits(work, 0)
	if moved[0]+moved[1] != n || len(seen) != n {
		t.Errorf("%d and %d were moved, %d different ones of %d", moved[0], moved[1], len(seen), n)
	}
}

// A connection that is lost between a copy and its acknowledgement may double a message,
// and loses none.
func TestRequeueIsCut(t *testing.T) {
	t.Parallel()
	p, via := proxied(t)
	f := ready(t, rabbitmq.Config{URL: via})
	const n = 100
	heap(t, foreigner(t), "work.dead", ourDead(ackbox.Quorum), n)
	cuts := 0
	for from := 100; from < 2600; from += 149 { // bytes: somewhere among the messages
		p.CutAfter(from)
		if _, err := f.RequeueDead(f.ctx, work, ackbox.DeadFilter{}, n/20); err != nil {
			cuts++
		}
	}
	f.must("Heal", p.Heal())
	if cuts == 0 {
		t.Error("nothing was cut")
	}
	eventually(t, func() bool {
		_, err := f.RequeueDead(f.ctx, work, ackbox.DeadFilter{}, n)
		left, errLeft := f.Waiting(f.ctx, "work.dead")
		return err == nil && errLeft == nil && left == 0
	}, func() any { return "messages are left" })
	seen := make(map[string]bool)
	s := f.subscribe(work, n)
	for len(seen) < n {
		d := s.next()
		seen[d.ID] = true
		f.must("Ack", d.Receipt.Ack())
	}
}

// Another work queue is no place for the dead: a delete would take what waits there.
func TestDeadInAWorkQueue(t *testing.T) {
	t.Parallel()
	f := ready(t, rabbitmq.Config{Topology: ackbox.Topology{Queues: []ackbox.Queue{{Name: work}, {Name: "other"}}}})
	f.publish(jobs("other", 1), core.Acked)
	for _, in := range []string{work, "other"} {
		if n, err := f.DeleteDead(f.ctx, work, ackbox.DeadFilter{In: in, All: true}, 10); n != 0 || err == nil || !strings.Contains(err.Error(), "is a work queue") {
			t.Errorf("in %s: deleted %d, %v", in, n, err)
		}
	}
	f.waits("other", 1)
}
