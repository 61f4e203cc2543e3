package rabbitmq_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/rabbitmq"
)

// buried puts messages into work's dead queue: of kind k0, k1, k0, …
func (f *fixture) buried(n int) {
	f.t.Helper()
	for i := range n {
		f.must("Bury", f.Bury(f.ctx, core.Delivery{Job: ackbox.Job{
			ID: fmt.Sprint("m", i), Kind: fmt.Sprint("k", i%2), Queue: work, Exchange: "shop", RoutingKey: fmt.Sprint("key", i%3), Attempt: 10, Payload: []byte("{}"),
		}}, fmt.Sprintf("timeout of %d", i)))
	}
}

// dead lists the ids that a filter chooses.
func (f *fixture) dead(filter ackbox.DeadFilter) (ids []string) {
	f.t.Helper()
	report, err := f.Dead(f.ctx, work, filter, 100)
	f.must("Dead", err)
	for _, m := range report.Messages {
		ids = append(ids, m.ID)
	}
	if report.Matched != len(ids) || !report.Complete {
		f.t.Errorf("%+v", report)
	}
	return ids
}

// What was buried is there after any number of tries to requeue it into a full queue:
// RabbitMQ 4 drops from a quorum queue what was returned 20 times, unless told otherwise.
func TestDeadQueueBearsReturns(t *testing.T) {
	t.Parallel()
	f := ready(t, rabbitmq.Config{Topology: ackbox.Topology{Queues: []ackbox.Queue{{Name: work, MaxLength: 1}}}})
	f.buried(1)
	full := func() bool {
		return f.Publish(f.ctx, jobs(work, 1))[0].Status == core.NackedByBroker
	}
	eventually(t, full, func() any { return "the queue takes all" })
	for i := range 30 {
		if n, err := f.RequeueDead(f.ctx, work, ackbox.DeadFilter{}, 10); n != 0 || err == nil {
			t.Fatalf("try %d: moved %d, %v", i, n, err)
		}
		eventually(t, func() bool { n, err := f.Waiting(f.ctx, "work.dead"); return n == 1 && err == nil },
			func() any { return fmt.Sprintf("it is gone after %d tries", i+1) })
	}
}

// Dead messages are listed, counted, requeued and deleted by what they are.
func TestDeadByFilter(t *testing.T) {
	t.Parallel()
	f := ready(t, rabbitmq.Config{})
	if got := f.dead(ackbox.DeadFilter{}); got != nil {
		t.Errorf("without a dead queue: %v", got)
	}
	f.buried(6)
	now := time.Now()
	for _, tt := range []struct {
		filter ackbox.DeadFilter
		want   []string
	}{
		{ackbox.DeadFilter{}, []string{"m0", "m1", "m2", "m3", "m4", "m5"}},
		{ackbox.DeadFilter{In: "work.dead", Kind: "k1"}, []string{"m1", "m3", "m5"}},
		{ackbox.DeadFilter{ID: "m4"}, []string{"m4"}},
		{ackbox.DeadFilter{Exchange: "shop", RoutingKey: "key0"}, []string{"m0", "m3"}},
		{ackbox.DeadFilter{Exchange: "x"}, nil},
		{ackbox.DeadFilter{Error: "of 2"}, []string{"m2"}},
		{ackbox.DeadFilter{DiedAfter: now.Add(-time.Minute), DiedBefore: now.Add(time.Minute)}, []string{"m0", "m1", "m2", "m3", "m4", "m5"}},
		{ackbox.DeadFilter{DiedAfter: now.Add(time.Minute)}, nil},
		{ackbox.DeadFilter{DiedBefore: now.Add(-time.Minute)}, nil},
	} {
		if got := f.dead(tt.filter); !slices.Equal(got, tt.want) {
			t.Errorf("%+v: %v, want %v", tt.filter, got, tt.want)
		}
	}
	if _, err := f.DeleteDead(f.ctx, work, ackbox.DeadFilter{In: "work.dead"}, 10); err == nil || !strings.Contains(err.Error(), "the filter is empty") {
		t.Errorf("an empty filter deletes: %v", err)
	}
	if _, err := f.Dead(f.ctx, work, ackbox.DeadFilter{DiedAfter: now, DiedBefore: now}, 1); err == nil || !strings.Contains(err.Error(), "DiedAfter") {
		t.Errorf("impossible times: %v", err)
	}
	if _, err := f.Dead(f.ctx, work, ackbox.DeadFilter{In: work}, 1); err == nil {
		t.Error("a look into the work queue")
	}
	if n, err := f.RequeueDead(f.ctx, work, ackbox.DeadFilter{Kind: "k1"}, 2); n != 2 || err != nil {
		t.Errorf("requeued %d, %v", n, err)
	}
	if n, err := f.DeleteDead(f.ctx, work, ackbox.DeadFilter{Error: "timeout of 0"}, 10); n != 1 || err != nil {
		t.Errorf("deleted %d, %v", n, err)
	}
	got := f.dead(ackbox.DeadFilter{})
	slices.Sort(got) // the requeue ended at its limit, and what it passed went behind the rest
	if !slices.Equal(got, []string{"m2", "m4", "m5"}) {
		t.Errorf("left are %v", got)
	}
	report, err := f.Dead(f.ctx, work, ackbox.DeadFilter{}, 1)
	if len(report.Messages) != 1 || report.Matched != 3 || err != nil {
		t.Errorf("%+v, %v", report, err)
	}
	if n, err := f.DeleteDead(f.ctx, work, ackbox.DeadFilter{All: true}, 10); n != 3 || err != nil {
		t.Errorf("deleted %d, %v", n, err)
	}
	s := f.subscribe(work, 10)
	for _, want := range []string{"m1", "m3"} {
		if d := s.next(); d.ID != want || d.RoutingKey == work || d.AttemptsBefore != 10 {
			t.Errorf("%+v came, want %s", d.Job, want)
		}
	}
}

// What the broker itself has dead-lettered for somebody into a queue of theirs is seen
// with the way it had come, bears being looked at, and is taken over.
func TestDeadOfOthers(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"classic", "quorum"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			f := ready(t, rabbitmq.Config{Topology: ackbox.Topology{
				Exchanges: []ackbox.Exchange{{Name: "shop", Kind: ackbox.Topic}},
				Queues:    []ackbox.Queue{{Name: work}},
			}})
			ch := foreigner(t)
			for name, args := range map[string]amqp.Table{
				"theirs":     {"x-message-ttl": int32(1), "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "theirs.dlq"},
				"theirs.dlq": {"x-queue-type": kind},
			} {
				if _, err := ch.QueueDeclare(name, true, false, false, false, args); err != nil {
					t.Fatal(err)
				}
			}
			if err := ch.QueueBind("theirs", "#", "shop", false, nil); err != nil {
				t.Fatal(err)
			}
			for _, id := range []string{"a", "b", "c"} {
				if err := ch.Publish("shop", "order."+id, false, false, amqp.Publishing{MessageId: id, Type: "k", Body: []byte(id)}); err != nil {
					t.Fatal(err)
				}
			}
			f.waits("theirs.dlq", 3)
			look := func() []string {
				report, err := f.Dead(f.ctx, work, ackbox.DeadFilter{In: "theirs.dlq"}, 10)
				f.must("Dead", err)
				var ids []string
				for _, m := range report.Messages {
					ids = append(ids, m.ID)
					if m.Exchange != "shop" || m.RoutingKey != "order."+m.ID || m.Error != "expired" || m.DiedAt.IsZero() || m.Kind != "k" || m.Queue != work {
						t.Errorf("%+v", m)
					}
				}
				slices.Sort(ids)
				return ids
			}
			for i := range 30 {
				eventually(t, func() bool { n, err := f.Waiting(f.ctx, "theirs.dlq"); return n == 3 && err == nil }, func() any { return fmt.Sprintf("look %d: they do not come back", i) })
				if got := look(); !slices.Equal(got, []string{"a", "b", "c"}) {
					t.Fatalf("look %d: %v", i, got)
				}
			}
			if n, err := f.RequeueDead(f.ctx, work, ackbox.DeadFilter{In: "theirs.dlq", RoutingKey: "order.b"}, 10); n != 1 || err != nil {
				t.Fatalf("requeued %d, %v", n, err)
			}
			s := f.subscribe(work, 1)
			if d := s.next(); d.ID != "b" || d.Exchange != "shop" || d.RoutingKey != "order.b" || d.Attempt != 1 || !d.First() {
				t.Errorf("%+v came", d)
			}
			if n, err := f.DeleteDead(f.ctx, work, ackbox.DeadFilter{In: "theirs.dlq", ID: "a"}, 10); n != 1 || err != nil {
				t.Errorf("deleted %d, %v", n, err)
			}
			f.waits("theirs.dlq", 1)
			if _, err := f.Dead(f.ctx, work, ackbox.DeadFilter{In: "nowhere"}, 1); err == nil {
				t.Error("a queue that is not there is empty")
			}
		})
	}
}
