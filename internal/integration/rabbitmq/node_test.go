//go:build unix

package rabbitmq_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/internal/testenv/servers"
	"github.com/ackbox/ackbox/rabbitmq"
)

// ownNode starts a node that the test may disturb as it likes.
func ownNode(t *testing.T, config ...string) *servers.RabbitMQ {
	t.Helper()
	node, err := servers.NewRabbitMQ(servers.RabbitMQOptions{Config: config})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = node.Thaw()
		if err := node.Stop(context.Background()); err != nil {
			t.Errorf("stop the node: %v", err)
		}
		if err := node.Remove(); err != nil {
			t.Errorf("remove the node: %v", err)
		}
	})
	if err := node.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	return node
}

// TestNode disturbs a node of its own; the steps share it because a start
// takes seconds.
func TestNode(t *testing.T) {
	t.Parallel()
	node := ownNode(t, "max_message_size = 100000")
	ctl := func(t *testing.T, args ...string) {
		t.Helper()
		if _, err := node.Ctl(context.Background(), args...); err != nil {
			t.Fatal(err)
		}
	}
	config := func(queue string) rabbitmq.Config {
		return rabbitmq.Config{
			URL: node.URL(), ConfirmTimeout: 2 * time.Second, Heartbeat: time.Second,
			Topology: ackbox.Topology{Queues: []ackbox.Queue{{Name: queue}}},
		}
	}
	for name, set := range map[string][2][]string{
		"memory alarm": {{"set_vm_memory_high_watermark", "0.0000001"}, {"set_vm_memory_high_watermark", "0.4"}},
		"disk alarm":   {{"set_disk_free_limit", "99999GB"}, {"set_disk_free_limit", "50MB"}},
	} {
		t.Run(name, func(t *testing.T) {
			testAlarm(t, config(work), func() { ctl(t, set[0]...) }, func() { ctl(t, set[1]...) })
		})
	}
	t.Run("oversized for the broker", func(t *testing.T) { testOversized(t, config("oversized")) })
	t.Run("frozen node", func(t *testing.T) { testFrozenNode(t, config("frozen"), node) })
	for _, kind := range []ackbox.QueueType{ackbox.Quorum, ackbox.Classic} {
		t.Run("killed node, "+string(kind)+" queue", func(t *testing.T) {
			cfg := config("killed-" + string(kind))
			cfg.Topology.Queues[0].Type = kind
			testKilledNode(t, cfg, node)
		})
	}
}

func testAlarm(t *testing.T, cfg rabbitmq.Config, raise, lower func()) {
	f := ready(t, cfg)
	f.publish(jobs(work, 2), core.Acked)
	s := f.subscribe(work, 2)
	held := s.next()
	raise()
	fresh := open(t, cfg) // has never published before the alarm
	states := make(chan error, 2)
	go func() { states <- fresh.Ready(fresh.ctx) }()
	// The first publish after the alarm tells; it may be answered or not.
	eventually(t, func() bool {
		o := f.Publish(f.ctx, jobs(work, 1))[0]
		return o.Status == core.Unknown && strings.Contains(o.Reason, "blocks publishers")
	}, func() any { return "publishes go through" })
	began := time.Now()
	f.publish(jobs(work, 100), core.Unknown)
	if took := time.Since(began); took > time.Second {
		t.Errorf("Publish took %v while blocked, want at once", took)
	}
	if err := f.Retry(f.ctx, held, time.Second); err == nil || !strings.Contains(err.Error(), "blocks publishers") {
		t.Errorf("Retry: %v", err)
	}
	short, cancel := context.WithTimeout(f.ctx, 200*time.Millisecond)
	defer cancel()
	if err := f.Ready(short); err == nil || !strings.Contains(err.Error(), "blocks publishers") {
		t.Errorf("Ready: %v", err)
	}
	go func() { states <- f.Ready(f.ctx) }()
	f.must("Ack", held.Receipt.Ack()) // consumers go on
	f.must("Ack", s.next().Receipt.Ack())
	if _, err := f.Waiting(f.ctx, work); err != nil {
		t.Errorf("Waiting: %v", err)
	}
	select {
	case err := <-states:
		t.Fatalf("Ready returned %v during the alarm", err)
	case <-time.After(3 * time.Second): // longer than ConfirmTimeout and heartbeats
	}
	lower()
	for range 2 {
		select {
		case err := <-states:
			f.must("Ready after the alarm", err)
		case <-time.After(deadline):
			t.Fatal("Ready does not return after the alarm")
		}
	}
	f.publish(jobs(work, 2), core.Acked)
	fresh.publish(jobs(work, 2), core.Acked)
	s.stop()
	for len(s.done) == 0 {
		select {
		case d := <-s.deliveries:
			_ = d.Receipt.Ack()
		case err := <-s.done:
			s.done <- err
		}
	}
	f.must("Consume", s.returned())
}

func testOversized(t *testing.T, cfg rabbitmq.Config) {
	f := ready(t, cfg)
	queue := cfg.Topology.Queues[0].Name
	batch := jobs(queue, 7)
	want := make([]core.Status, len(batch))
	for i := range want {
		want[i] = core.Acked
		if i == 2 || i == 3 || i == 6 {
			batch[i].Payload, want[i] = make([]byte, 200_000), core.NackedByBroker
		}
	}
	outcomes := f.publish(batch, want...)
	if r := outcomes[2].Reason; !strings.Contains(r, "PRECONDITION_FAILED") || !strings.Contains(r, "100000") {
		t.Errorf("reason %q does not have the broker's words", r)
	}
}

func testFrozenNode(t *testing.T, cfg rabbitmq.Config, node *servers.RabbitMQ) {
	f := ready(t, cfg)
	queue := cfg.Topology.Queues[0].Name
	s := f.subscribe(queue, 1)
	f.publish(jobs(queue, 1), core.Acked)
	held := s.next()
	f.must("freeze the node", node.Freeze())
	began := time.Now()
	f.publish(jobs(queue, 10), core.Unknown)
	if err := s.returned(); err == nil {
		t.Error("Consume returned nil although the node is frozen")
	}
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("the freeze was seen after %v, with a heartbeat of 1s", took)
	}
	if held.Receipt.Ack() == nil {
		t.Error("a receipt of a dead connection works")
	}
	f.must("thaw the node", node.Thaw())
	f.must("Ready", f.Ready(f.ctx))
	f.publish(jobs(queue, 1), core.Acked)
}

func testKilledNode(t *testing.T, cfg rabbitmq.Config, node *servers.RabbitMQ) {
	f := ready(t, cfg)
	queue := cfg.Topology.Queues[0].Name
	batch := jobs(queue, 200)
	f.publish(batch, core.Acked)
	f.must("sync the node", node.Sync(f.ctx)) // the queue is minutes younger than queues in earnest
	f.must("kill the node", node.Kill(f.ctx))
	f.publish(jobs(queue, 1), core.Unknown)
	waiting := make(chan error, 1)
	go func() { waiting <- f.Ready(f.ctx) }()
	f.must("start the node", node.Start(f.ctx))
	select {
	case err := <-waiting:
		f.must("Ready", err)
	case <-time.After(deadline):
		t.Fatal("Ready does not return after the restart")
	}
	f.waits(queue, len(batch)) // what was acked has survived
	f.publish(jobs(queue, 1), core.Acked)
}
