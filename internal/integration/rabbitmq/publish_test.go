package rabbitmq_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/internal/testenv"
	"github.com/ackbox/ackbox/rabbitmq"
)

func TestReturnedAlthoughAcked(t *testing.T) {
	t.Parallel()
	f := ready(t, rabbitmq.Config{
		Window: 4, // several windows, so that returns of one are not taken for another's
		Topology: ackbox.Topology{
			Exchanges: []ackbox.Exchange{{Name: "events", Kind: ackbox.Topic}},
			Queues:    []ackbox.Queue{{Name: work, Bindings: []ackbox.Binding{{Exchange: "events", RoutingKey: "order.*"}}}},
		},
	})
	batch := jobs(work, 12)
	var want []core.Status
	for i := range batch {
		batch[i].Exchange, batch[i].RoutingKey = "events", "order.paid"
		want = append(want, core.Acked)
		switch i % 4 {
		case 1:
			batch[i].RoutingKey = "nobody.listens"
			want[i] = core.Returned
		case 2:
			batch[i].RoutingKey, batch[i].Mandatory = "nobody.listens", false
		}
	}
	// One job twice in a batch must not happen; if it does, the routed copy is
	// still acked and the other one still returned.
	batch[9].ID = batch[8].ID
	outcomes := f.publish(batch, want...)
	if r := outcomes[1].Reason; !strings.Contains(r, "nobody.listens") || !strings.Contains(r, "events") {
		t.Errorf("reason %q names neither exchange nor routing key", r)
	}
	f.waits(work, 6)
}

func TestNackedByFullQueue(t *testing.T) {
	t.Parallel()
	f := ready(t, rabbitmq.Config{Topology: ackbox.Topology{
		Queues: []ackbox.Queue{{Name: work, Type: ackbox.Classic, MaxLength: 2}},
	}})
	f.publish(jobs(work, 4), core.Acked, core.Acked, core.NackedByBroker, core.NackedByBroker)
	f.waits(work, 2)
}

func TestBadMessagesDoNotStopTheirNeighbours(t *testing.T) {
	t.Parallel()
	p, via := proxied(t)
	f := ready(t, rabbitmq.Config{URL: via})
	batch := jobs(work, 14)
	want := make([]core.Status, len(batch))
	for i := range want {
		want[i] = core.Acked
	}
	bad := func(i int, spoil func(*ackbox.Job)) {
		spoil(&batch[i])
		want[i] = core.NackedByBroker
	}
	bad(1, func(j *ackbox.Job) { j.Exchange = "missing" }) // 404
	bad(3, func(j *ackbox.Job) { j.Headers = map[string]string{"CC": "text"} })
	bad(4, func(j *ackbox.Job) { j.Exchange = "missing" })
	bad(6, func(j *ackbox.Job) { j.Payload = make([]byte, 16<<20+1) })
	bad(7, func(j *ackbox.Job) { j.RoutingKey = strings.Repeat("k", 256) })
	bad(9, func(j *ackbox.Job) { j.Headers = map[string]string{strings.Repeat("n", 256): ""} })
	bad(10, func(j *ackbox.Job) { j.Headers = map[string]string{"h": strings.Repeat("v", 140_000)} })
	bad(13, func(j *ackbox.Job) { j.Exchange = "missing" })
	outcomes := f.publish(batch, want...)
	for i, text := range map[int]string{1: "missing", 3: "would route the message by it", 6: "MaxMessageBytes", 7: "256", 9: "256", 10: "frames"} {
		if !strings.Contains(outcomes[i].Reason, text) {
			t.Errorf("job %d: reason %q does not contain %q", i, outcomes[i].Reason, text)
		}
	}
	if n, err := f.Waiting(f.ctx, work); err != nil || n < 6 {
		t.Errorf("%d messages wait (%v), want at least the 6 good ones", n, err)
	}
	if n := p.Accepted(); n != 2 {
		t.Errorf("%d connections: want the publishing and the controlling one", n)
	}
	if f.log.String() != "" {
		t.Errorf("a bad message cost a connection:\n%s", f.log)
	}
}

func TestDeletedTopologyComesBack(t *testing.T) {
	t.Parallel()
	f := ready(t, rabbitmq.Config{Topology: ackbox.Topology{
		Exchanges: []ackbox.Exchange{{Name: "events", Kind: ackbox.Fanout}},
		Queues:    []ackbox.Queue{{Name: work, Bindings: []ackbox.Binding{{Exchange: "events"}}}},
	}})
	batch := jobs(work, 3)
	for i := range batch {
		batch[i].Exchange, batch[i].RoutingKey = "events", ""
	}
	testenv.Rabbit(t).DeleteExchange("events")
	f.publish(batch, core.Acked)
	// A missing queue cannot be seen before the message came back: it is
	// declared for the next try.
	testenv.Rabbit(t).DeleteQueue(work)
	f.publish(batch, core.Returned)
	f.publish(batch, core.Acked)
	f.waits(work, 3)
}

func TestCutMidBatchIsUnknownAndHeals(t *testing.T) {
	t.Parallel()
	p, via := proxied(t)
	f := ready(t, rabbitmq.Config{URL: via, Topology: ackbox.Topology{
		Queues: []ackbox.Queue{{Name: work, Type: ackbox.Classic}},
	}})
	batch := jobs(work, 2000)
	missing := make(map[string]bool)
	for _, j := range batch {
		missing[j.ID] = true
	}
	p.CutAfter(100_000)
	cuts := 0
	for todo := batch; len(todo) > 0; {
		f.must("Ready", f.Ready(f.ctx))
		var unknown []ackbox.Job
		for i, o := range f.Publish(f.ctx, todo) {
			switch o.Status {
			case core.Acked:
			case core.Unknown:
				if o.Reason == "" {
					t.Fatal("unknown without a reason")
				}
				unknown = append(unknown, todo[i])
			default:
				t.Fatalf("a cut is taken for an answer: %v (%s)", o.Status, o.Reason)
			}
		}
		if len(unknown) > 0 {
			if cuts++; cuts < 3 {
				p.CutAfter(50_000)
			}
		}
		todo = unknown
	}
	if cuts == 0 {
		t.Error("the connection was never cut within a batch")
	}
	s := f.subscribe(work, 500)
	for len(missing) > 0 {
		d := s.next()
		delete(missing, d.ID)
		f.must("Ack", d.Receipt.Ack())
	}
}

func TestReconnectsEndlesslyAndLeavesNothing(t *testing.T) {
	t.Parallel()
	p, via := proxied(t)
	f := ready(t, rabbitmq.Config{URL: via})
	s := f.subscribe(work, 1)
	lose := map[string]func(){"the network": p.Cut, "the server": func() { closeConnections(t, 3) }}
	for _, who := range []string{"the network", "the network", "the server", "the network", "the network"} {
		f.publish(jobs(work, 3), core.Acked)
		f.must("Ack", s.next().Receipt.Ack())
		lose[who]()
		if err := s.returned(); err == nil {
			t.Fatalf("Consume returned nil although %s closed its connection", who)
		}
		s = f.subscribe(work, 1)
		eventually(t, func() bool {
			f.must("Ready", f.Ready(f.ctx))
			return f.Publish(f.ctx, jobs(work, 1))[0].Status == core.Acked
		}, func() any { return f.log })
	}
	f.must("Ack", s.next().Receipt.Ack())
	if n := p.Accepted(); n != 18 {
		t.Errorf("%d connections in all, want 3 and 3 for each of 5 losses", n)
	}
	if n := p.Connections(); n != 3 {
		t.Errorf("%d connections are open, want 3", n)
	}
}

// Not parallel: it counts the goroutines of the process.
func TestFiftyReconnectsLeaveNothing(t *testing.T) {
	p, via := proxied(t)
	f := ready(t, rabbitmq.Config{URL: via, MinBackoff: time.Millisecond, MaxBackoff: 10 * time.Millisecond})
	s := f.subscribe(work, 1)
	f.publish(jobs(work, 1), core.Acked)
	f.must("Ack", s.next().Receipt.Ack())
	state := func() [3]int {
		connections, channels := testenv.Rabbit(t).Open()
		return [3]int{connections, channels, runtime.NumGoroutine()}
	}
	var before, after [3]int
	eventually(t, func() bool {
		before = state()
		return before[0] == 3 && before[1] == 2 // one channel to publish, one to consume
	}, func() any { return before })
	for range 50 {
		p.Cut()
		if err := s.returned(); err == nil {
			t.Fatal("Consume returned nil although its connection was cut")
		}
		s = f.subscribe(work, 1)
		eventually(t, func() bool { return f.Publish(f.ctx, jobs(work, 1))[0].Status == core.Acked }, func() any { return f.log })
		f.must("Ack", s.next().Receipt.Ack())
	}
	eventually(t, func() bool {
		after = state()
		return after == before
	}, func() any { return fmt.Sprintf("connections, channels, goroutines: %v, want %v", after, before) })
	if n := p.Accepted(); n != 153 {
		t.Errorf("%d connections in all, want 3 and 3 for each of 50 losses", n)
	}
}

func TestFrozenPeer(t *testing.T) {
	t.Parallel()
	for name, size := range map[string]int{"small messages": 2, "messages that fill the socket": 1 << 20} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, via := proxied(t)
			f := ready(t, rabbitmq.Config{
				URL: via, ConfirmTimeout: time.Second, DialTimeout: time.Second, WriteTimeout: 30 * time.Second,
			})
			p.Freeze()
			batch := jobs(work, 32)
			for i := range batch {
				batch[i].Payload = make([]byte, size)
			}
			began := time.Now()
			f.publish(batch, core.Unknown)
			if took := time.Since(began); took > 3*time.Second {
				t.Errorf("Publish took %v, its deadline was 1s", took)
			}
			ctx, cancel := context.WithTimeout(f.ctx, time.Second)
			defer cancel()
			if err := f.Ready(ctx); err == nil {
				t.Error("Ready although the peer is frozen")
			}
			p.Thaw()
			f.must("Ready", f.Ready(f.ctx))
			f.publish(jobs(work, 3), core.Acked)
		})
	}
}

func TestCallersDeadlineDoesNotCostTheConnection(t *testing.T) {
	t.Parallel()
	p, via := proxied(t)
	f := ready(t, rabbitmq.Config{URL: via})
	f.publish(jobs(work, 1), core.Acked)
	for range 20 {
		ctx, cancel := context.WithTimeout(f.ctx, 500*time.Microsecond)
		for _, o := range f.Publish(ctx, jobs(work, 100)) {
			if o.Status != core.Unknown && o.Status != core.Acked {
				t.Errorf("outcome is %v (%s)", o.Status, o.Reason)
			}
		}
		cancel()
	}
	f.publish(jobs(work, 1), core.Acked)
	if n := p.Accepted(); n != 2 || f.log.String() != "" {
		t.Errorf("%d connections, want the first two:\n%s", n, f.log)
	}
}

func TestMoreCallsThanChannels(t *testing.T) {
	t.Parallel()
	f := ready(t, rabbitmq.Config{Window: 8})
	var all sync.WaitGroup
	for range 40 {
		all.Go(func() {
			batch := jobs(work, 20)
			for i, o := range f.Publish(f.ctx, batch) {
				if o.Status != core.Acked {
					t.Errorf("job %d is %v (%s)", i, o.Status, o.Reason)
				}
			}
		})
	}
	all.Wait()
	f.waits(work, 800)
}
