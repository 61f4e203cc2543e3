//go:build unix

package accounting_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/testenv/servers"
	"github.com/ackbox/ackbox/rabbitmq"
	"github.com/ackbox/ackbox/worker"
)

// theirs is a channel of a program that knows nothing of us.
func (s *stage) theirs() *amqp.Channel {
	s.t.Helper()
	conn, err := amqp.Dial(s.amqp)
	s.must("connect to the broker", err)
	s.t.Cleanup(func() { _ = conn.Close() })
	ch, err := conn.Channel()
	s.must("open a channel", err)
	return ch
}

// once is a handler that fails the first time that it sees an id, and notes what came.
type once struct {
	mu   sync.Mutex
	jobs map[string][]ackbox.Job // by body, or what the test calls them by
}

func (o *once) do(_ context.Context, job ackbox.Job) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	name := string(job.Payload)
	o.jobs[name] = append(o.jobs[name], job)
	if len(o.jobs[name]) == 1 {
		return errors.New("fails the first time")
	}
	return nil
}

func (o *once) of(name string) []ackbox.Job {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]ackbox.Job(nil), o.jobs[name]...)
}

// Messages whose producers say nothing of a type, as most do, find their handlers by what
// else they say, on each try alike, with the same id.
func TestMessagesWithoutAType(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.topology = ackbox.Topology{
		Exchanges: []ackbox.Exchange{{Name: "events", Kind: ackbox.Topic}},
		Queues: []ackbox.Queue{
			{Name: ackbox.DefaultQueue},
			{Name: "events", Type: ackbox.Classic, Bindings: []ackbox.Binding{{Exchange: "events", RoutingKey: "order.#"}}},
		},
	}
	seen := &once{jobs: map[string][]ackbox.Job{}}
	handlers := map[string]*calls{}
	for _, kind := range []string{"typed", "of.header", "of.body", "urn:order", "order.paid", "fallback"} {
		handlers[kind] = newCalls(func(ctx context.Context, job ackbox.Job) error {
			if job.Kind != kind {
				t.Errorf("%s came to the handler of %s", job.Kind, kind)
			}
			return seen.do(ctx, job)
		})
	}
	mq := s.broker("worker")
	s.must("declare", mq.Ready(s.ctx))
	s.run("the worker", s.worker(mq, handlers, func(cfg *worker.Config) {
		cfg.Queues = []worker.Queue{
			{Name: ackbox.DefaultQueue, Messages: worker.Messages{
				Kind: []worker.Find{worker.FromType(), worker.FromHeader("kind"), worker.FromBody("meta.type"), worker.FromBody("messageType.0"), worker.Always("fallback")},
				ID:   []worker.Find{worker.FromMessageID(), worker.FromBody("meta.id")},
			}},
			{Name: "events", Messages: worker.Messages{Kind: []worker.Find{worker.FromRoutingKey()}, ID: []worker.Find{worker.FromContent()}}},
		}
	}).Run)
	packed := func(body string) []byte {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		_, err := w.Write([]byte(body))
		s.must("pack", errors.Join(err, w.Close()))
		return b.Bytes()
	}
	ch := s.theirs()
	cases := []struct {
		name, exchange, key string
		message             amqp.Publishing
		kind, id, body      string
	}{
		{"type", "", "default", amqp.Publishing{Type: "typed", MessageId: "m1", Body: []byte("1")}, "typed", "m1", "1"},
		{"header", "", "default", amqp.Publishing{Headers: amqp.Table{"kind": []byte("of.header")}, Body: []byte("2")}, "of.header", "", "2"},
		{"body", "", "default", amqp.Publishing{Body: []byte(`{"meta":{"type":"of.body","id":7}}`)}, "of.body", "7", `{"meta":{"type":"of.body","id":7}}`},
		{"packed body", "", "default", amqp.Publishing{ContentEncoding: "gzip", Body: packed(`{"meta":{"type":"of.body","id":8}}`)}, "of.body", "8", `{"meta":{"type":"of.body","id":8}}`},
		{"list", "", "default", amqp.Publishing{Body: []byte(`{"messageType":["urn:order"]}`)}, "urn:order", "", `{"messageType":["urn:order"]}`},
		{"nothing", "", "default", amqp.Publishing{Body: []byte("no JSON")}, "fallback", "", "no JSON"},
		{"routing key", "events", "order.paid", amqp.Publishing{Body: []byte("{}")}, "order.paid", "", "{}"},
	}
	for _, c := range cases {
		s.must("publish", ch.PublishWithContext(s.ctx, c.exchange, c.key, true, false, c.message))
	}
	for _, c := range cases {
		s.sees(c.name+" ran twice", func() bool { return len(seen.of(c.body)) >= 2 })
		first, second := seen.of(c.body)[0], seen.of(c.body)[1]
		if first.Kind != c.kind || second.Kind != c.kind || first.ID == "" || second.ID != first.ID || c.id != "" && first.ID != c.id {
			t.Errorf("%s: kind %q and %q, id %q and %q; want %q, %q", c.name, first.Kind, second.Kind, first.ID, second.ID, c.kind, c.id)
		}
		fromContent := c.id == "" && c.exchange == ""
		if first.Attempt != 1 || second.Attempt != 2 || first.IDFromContent != fromContent || second.IDFromContent != fromContent {
			t.Errorf("%s: tries %d and %d, ids of the content: %t and %t", c.name, first.Attempt, second.Attempt, first.IDFromContent, second.IDFromContent)
		}
		if second.Exchange != c.exchange || second.RoutingKey != c.key {
			t.Errorf("%s: the second came by %q and %q", c.name, second.Exchange, second.RoutingKey)
		}
	}
}

// While the broker blocks publishers no copy can be made of a message whose handler
// failed. It is in hand with its outcome: it runs once, not again and again, even if it is
// handed out again; others run beside it, and it is charged when the alarm is over.
func TestAlarmWhileAHandlerFailed(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	node, err := servers.NewRabbitMQ(servers.RabbitMQOptions{})
	s.must("make a node", err)
	t.Cleanup(func() {
		if err := errors.Join(node.Stop(context.Background()), node.Remove()); err != nil {
			t.Errorf("stop the node: %v", err)
		}
	})
	s.must("start the node", node.Start(s.ctx))
	s.amqp = node.URL()
	alarm := func(watermark string) {
		_, err := node.Ctl(context.Background(), "set_vm_memory_high_watermark", watermark)
		s.must("set the watermark", err)
	}
	fails := &once{jobs: map[string][]ackbox.Job{}}
	handlers := map[string]*calls{"fails": newCalls(fails.do), "works": newCalls(nil)}
	mq := s.broker("worker")
	s.must("declare", mq.Ready(s.ctx))
	s.publish(amqp.Publishing{MessageId: "m", Type: "fails", Body: []byte("m"), DeliveryMode: amqp.Persistent})
	s.publish(amqp.Publishing{MessageId: "beside", Type: "works", Body: []byte("{}"), DeliveryMode: amqp.Persistent})
	alarm("0.0000001")
	p := newPrefetch(mq, "", nil)
	s.run("the worker", s.worker(p, handlers, slots(1, 4)).Run)
	s.sees("the broker blocks us", func() bool { return s.log.lines("held back") > 0 })
	s.sees("another ran beside it", func() bool { return handlers["works"].of("beside").consume == 1 })
	s.wait(5 * time.Second)
	if got := handlers["fails"].of("m"); got != (count{1, 0, 1}) || p.came("m") != 1 {
		t.Errorf("during the alarm: %+v, and it came %d times", got, p.came("m"))
	}
	if n := s.log.lines("held back"); n != 1 {
		t.Errorf("it was logged %d times", n)
	}
	_, err = node.Ctl(s.ctx, "close_all_connections", "test")
	s.must("close the connections", err)
	s.sees("the broker hands it out again", func() bool { return p.came("m") == 2 })
	s.wait(2 * time.Second)
	if got := handlers["fails"].of("m"); got != (count{1, 0, 1}) {
		t.Errorf("handed out again during the alarm: %+v", got)
	}
	alarm("0.4")
	s.sees("it ran again", func() bool { return handlers["fails"].of("m").consume == 2 })
	if again := fails.of("m")[1]; again.Attempt != 2 {
		t.Errorf("it ran again at try %d", again.Attempt)
	}
	if got := handlers["fails"].of("m"); got.fail != 0 || got.atOnce != 1 {
		t.Errorf("in the end: %+v", got)
	}
}

// The same where none of the retry queues can be declared, because somebody else has
// declared them: what cannot be put aside waits, and goes on once one can.
func TestRetryQueuesAreNotOurs(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	mq, err := rabbitmq.New(rabbitmq.Config{
		URL: s.amqp, Name: "worker", RetryLadder: []time.Duration{100 * time.Millisecond, time.Second}, Logger: s.log.logger(),
	})
	s.must("make a broker", err)
	t.Cleanup(func() { _ = mq.Close() })
	s.must("declare", mq.Ready(s.ctx))
	ch := s.theirs()
	rungs := []string{"default.retry.100", "default.retry.1000"}
	for _, name := range rungs {
		_, err := ch.QueueDeclare(name, true, false, false, false, amqp.Table{"x-queue-type": "classic"})
		s.must("declare "+name, err)
	}
	fails := &once{jobs: map[string][]ackbox.Job{}}
	handlers := map[string]*calls{"fails": newCalls(fails.do), "works": newCalls(nil)}
	p := newPrefetch(mq, "", nil)
	s.run("the worker", s.worker(p, handlers, slots(1, 4)).Run)
	s.publish(amqp.Publishing{MessageId: "m", Type: "fails", Body: []byte("m"), DeliveryMode: amqp.Persistent})
	s.sees("it is held back", func() bool { return s.log.lines("held back", "default.retry.") == 1 })
	s.publish(amqp.Publishing{MessageId: "beside", Type: "works", Body: []byte("{}"), DeliveryMode: amqp.Persistent})
	s.sees("another ran beside it", func() bool { return handlers["works"].of("beside").consume == 1 })
	s.wait(2 * time.Second)
	if got := handlers["fails"].of("m"); got != (count{1, 0, 1}) || p.came("m") != 1 {
		t.Errorf("while no copy can be made: %+v, and it came %d times", got, p.came("m"))
	}
	for _, name := range rungs {
		_, err := ch.QueueDelete(name, false, false, false)
		s.must("delete "+name, err)
	}
	s.sees("it ran again", func() bool { return handlers["fails"].of("m").consume == 2 })
	if again := fails.of("m")[1]; again.Attempt != 2 || p.came("m") != 2 {
		t.Errorf("it ran again at try %d and came %d times", again.Attempt, p.came("m"))
	}
}

// Workers are stopped fourteen times beside a queue whose owner lets a message come back
// four times. None is dropped or charged: not the one that each stop interrupts, nor the
// one that waits in a prefetch.
func TestStopsBesideALowDeliveryLimit(t *testing.T) {
	t.Parallel()
	const stops, limit = 14, 4
	s := newStage(t)
	_, err := s.theirs().QueueDeclare("theirs", true, false, false, false, amqp.Table{"x-queue-type": "quorum", "x-delivery-limit": limit})
	s.must("declare their queue", err)
	s.topology = ackbox.Topology{Queues: []ackbox.Queue{{Name: "theirs", Passive: true, DeliveryLimit: limit}}}
	open := make(chan struct{})
	var mu sync.Mutex
	most := 0
	handlers := map[string]*calls{"k": newCalls(func(ctx context.Context, job ackbox.Job) error {
		mu.Lock()
		most = max(most, job.Attempt)
		mu.Unlock()
		return until(ctx, open)
	})}
	mq := s.broker("worker")
	s.must("declare", mq.Ready(s.ctx))
	p := newPrefetch(mq, "", nil)
	ch := s.theirs()
	for _, id := range []string{"a", "b"} {
		s.must("publish", ch.PublishWithContext(s.ctx, "", "theirs", true, false, amqp.Publishing{MessageId: id, Type: "k", Body: []byte("{}"), DeliveryMode: amqp.Persistent}))
	}
	change := func(cfg *worker.Config) {
		cfg.Queues = []worker.Queue{{Name: "theirs", Concurrency: 1, Prefetch: 4}}
		cfg.Grace = 100 * time.Millisecond
	}
	for n := range stops {
		came := p.came("a") + p.came("b")
		run := s.run("a worker", s.worker(p, handlers, change).Run)
		s.eventually("one runs and one waits", func() error {
			if now := p.came("a") + p.came("b"); now < came+2 || handlers["k"].running() != 1 {
				return fmt.Errorf("after %d stops %d came, a %v and b %v", n, now-came, p.returns("a"), p.returns("b"))
			}
			return nil
		})
		run.stop()
	}
	t.Logf("returns that the broker counted: %v and %v", p.returns("a"), p.returns("b"))
	close(open)
	done := s.worker(mq, handlers, change)
	s.run("the last worker", done.Run)
	s.sees("both are done", func() bool { return done.Stats().Done == 2 })
	mu.Lock()
	defer mu.Unlock()
	if a, b := handlers["k"].of("a"), handlers["k"].of("b"); most != 1 || a.fail+b.fail != 0 {
		t.Errorf("they were charged: try %d, calls %+v and %+v", most, a, b)
	}
}
