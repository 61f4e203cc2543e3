package memory_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/memory"
)

// A bound is exact here, and a full queue does not keep its neighbours from
// their copy.
func TestFullQueueAmongSeveralTargets(t *testing.T) {
	t.Parallel()
	bind := []ackbox.Binding{{Exchange: "x"}}
	b := newBroker(t, memory.Config{Topology: ackbox.Topology{
		Exchanges: []ackbox.Exchange{{Name: "x", Kind: ackbox.Fanout}},
		Queues:    []ackbox.Queue{{Name: "small", MaxLength: 1, Bindings: bind}, {Name: "big", Bindings: bind}},
	}})
	out := b.Publish(t.Context(), []ackbox.Job{{ID: "1", Exchange: "x"}, {ID: "2", Exchange: "x"}})
	if out[0].Status != core.Acked || out[1].Status != core.NackedByBroker || out[1].Reason == "" {
		t.Errorf("got %v, want acked, then nacked with a reason", out)
	}
	if small, big := waiting(t, b, "small"), waiting(t, b, "big"); small != 1 || big != 2 {
		t.Errorf("small has %d, big has %d; want 1 and 2", small, big)
	}
}

// Two bindings of one queue that both match make one copy, as in RabbitMQ.
func TestOneCopyPerQueue(t *testing.T) {
	t.Parallel()
	b := newBroker(t, memory.Config{Topology: ackbox.Topology{
		Exchanges: []ackbox.Exchange{{Name: "x", Kind: ackbox.Topic}, {Name: "y"}},
		Queues: []ackbox.Queue{{Name: "q", Bindings: []ackbox.Binding{
			{Exchange: "x", RoutingKey: "a.*"}, {Exchange: "y", RoutingKey: "a.b"}, {Exchange: "x", RoutingKey: "#"},
		}}},
	}})
	publish(t, b, ackbox.Job{ID: "1", Exchange: "x", RoutingKey: "a.b", Mandatory: true})
	if n := waiting(t, b, "q"); n != 1 {
		t.Errorf("%d copies, want 1", n)
	}
}

// Neither the publisher's later changes nor a handler's reach a message.
func TestMessagesShareNothingWithCallers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t, memory.Config{})
		j := job("1")
		j.Payload, j.Headers = []byte("clean"), map[string]string{"k": "clean"}
		publish(t, b, j)
		j.Payload[0], j.Headers["k"] = 'X', "dirty"
		s := subscribe(t, b, 1)
		for range 2 {
			d := <-s.deliveries
			if string(d.Payload) != "clean" || d.Headers["k"] != "clean" {
				t.Fatalf("payload %q, header %q: want both clean", d.Payload, d.Headers["k"])
			}
			d.Payload[0], d.Headers["k"] = 'X', "dirty"
			must(t, d.Receipt.Requeue())
		}
		must(t, b.Close())
		s.closed(t)
	})
}

// What RabbitMQ would not carry does not arrive here either.
func TestOnlyWhatTravels(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t, memory.Config{})
		j := job("1")
		j.Queue, j.Mandatory = "", false // publish-only
		j.Attempt, j.MaxAttempts, j.Resend, j.PublishAttempt = 4, 5, 6, 7
		j.CreatedAt = time.Unix(100, 999)
		j.Headers = map[string]string{ackbox.HeaderAttempt: "9"}
		publish(t, b, j)
		s := subscribe(t, b, 1)
		d := <-s.deliveries
		if d.Attempt != 1 || d.MaxAttempts != 0 || d.Resend != 0 || d.PublishAttempt != 0 || d.Ledger != "" || len(d.Headers) != 0 {
			t.Errorf("a publish-only message arrived as %+v", d.Job)
		}
		d.Headers["mine"] = "a handler may write" // the map is there, and its own
		if !d.CreatedAt.Equal(time.Unix(100, 0)) || d.Queue != queue {
			t.Errorf("created at %v, queue %q: want whole seconds and the consumed queue", d.CreatedAt, d.Queue)
		}
		must(t, b.Close())
		s.closed(t)
	})
}
