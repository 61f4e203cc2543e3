package rabbitmq_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/internal/integration/netfault"
	"github.com/ackbox/ackbox/internal/testenv"
	"github.com/ackbox/ackbox/rabbitmq"
)

const (
	work = "work"
	// deadline bounds a test's waiting; it passes only if something hangs.
	deadline = 60 * time.Second
)

// log collects what a broker logs.
type log struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// fixture is one test's broker.
type fixture struct {
	*rabbitmq.Broker
	t   *testing.T
	ctx context.Context
	log *log
}

// open makes a broker that is closed when the test ends. Unless cfg says
// otherwise it uses the test's own vhost and has the one queue "work".
func open(t *testing.T, cfg rabbitmq.Config) *fixture {
	t.Helper()
	f := &fixture{t: t, log: &log{}}
	if cfg.URL == "" && len(cfg.URLs) == 0 {
		cfg.URL = testenv.AMQPURL(t)
	}
	if len(cfg.Topology.Queues) == 0 {
		cfg.Topology.Queues = []ackbox.Queue{{Name: work}}
	}
	if cfg.MaxBackoff == 0 {
		cfg.MaxBackoff = 200 * time.Millisecond
	}
	cfg.Logger = slog.New(slog.NewTextHandler(f.log, nil))
	b, err := rabbitmq.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	f.Broker, f.ctx = b, ctx
	t.Cleanup(func() {
		cancel()
		began := time.Now()
		if err := b.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("Close took %v", took)
		}
		if t.Failed() {
			t.Logf("logged:\n%s", f.log)
		}
	})
	return f
}

// ready is open and a successful Ready.
func ready(t *testing.T, cfg rabbitmq.Config) *fixture {
	t.Helper()
	f := open(t, cfg)
	f.must("Ready", f.Ready(f.ctx))
	return f
}

func (f *fixture) must(what string, err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatalf("%s: %v", what, err)
	}
}

// publish publishes and compares the statuses: one for all, or one for each.
func (f *fixture) publish(jobs []ackbox.Job, want ...core.Status) []core.Outcome {
	f.t.Helper()
	outcomes := f.Publish(f.ctx, jobs)
	if len(outcomes) != len(jobs) {
		f.t.Fatalf("%d outcomes for %d jobs", len(outcomes), len(jobs))
	}
	for i, o := range outcomes {
		if w := want[min(i, len(want)-1)]; o.Status != w {
			f.t.Fatalf("job %d is %v (%s), want %v", i, o.Status, o.Reason, w)
		}
	}
	return outcomes
}

// waits waits until queue has n ready messages.
func (f *fixture) waits(queue string, n int) {
	f.t.Helper()
	got := -1
	eventually(f.t, func() bool {
		now, err := f.Waiting(f.ctx, queue)
		if err != nil {
			f.t.Fatalf("Waiting: %v (before that: %d, want %d)", err, got, n)
		}
		got = now
		return got == n
	}, func() any { return []any{queue, "has", got, "want", n} })
}

// subscription is one call of Consume.
type subscription struct {
	t          *testing.T
	deliveries chan core.Delivery
	stop       context.CancelFunc
	done       chan error
}

func (f *fixture) subscribe(queue string, prefetch int) *subscription {
	f.t.Helper()
	return f.subscribeFunc(queue, prefetch, func(core.Delivery) {})
}

// subscribeFunc consumes until the test ends; after is the rest of handle.
func (f *fixture) subscribeFunc(queue string, prefetch int, after func(core.Delivery)) *subscription {
	f.t.Helper()
	ctx, stop := context.WithCancel(f.ctx)
	s := &subscription{t: f.t, deliveries: make(chan core.Delivery, 10_000), stop: stop, done: make(chan error, 1)}
	over := make(chan struct{})
	go func() {
		defer close(over)
		s.done <- f.Consume(ctx, queue, prefetch, func(d core.Delivery) {
			s.deliveries <- d
			after(d)
		})
	}()
	f.t.Cleanup(func() {
		stop()
		_ = f.Close()
		<-over
	})
	return s
}

func (s *subscription) next() core.Delivery {
	s.t.Helper()
	select {
	case d := <-s.deliveries:
		return d
	case err := <-s.done:
		s.t.Fatalf("Consume returned %v", err)
	case <-time.After(deadline):
		s.t.Fatal("no delivery came")
	}
	panic("unreachable")
}

func (s *subscription) returned() error {
	s.t.Helper()
	select {
	case err := <-s.done:
		return err
	case <-time.After(deadline):
		s.t.Fatal("Consume did not return")
	}
	panic("unreachable")
}

// eventually asks until ok says yes.
func eventually(t *testing.T, ok func() bool, state func() any) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	late := time.After(deadline)
	for !ok() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("did not come to pass: %v", state())
		}
	}
}

func jobs(queue string, n int) []ackbox.Job {
	list := make([]ackbox.Job, n)
	for i := range list {
		list[i] = ackbox.Job{
			ID: uuid.Must(uuid.NewV7()).String(), Kind: "kind", Queue: queue, RoutingKey: queue,
			Mandatory: true, Payload: []byte(`{}`), Attempt: 1, MaxAttempts: 3, Ledger: "00000000-0000-4000-8000-000000000001",
		}
	}
	return list
}

// foreigner is another service's channel into the test's vhost.
func foreigner(t *testing.T) *amqp.Channel {
	t.Helper()
	conn, err := amqp.Dial(testenv.AMQPURL(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	ch, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	return ch
}

// get takes one message from queue as another service would.
func get(t *testing.T, ch *amqp.Channel, queue string) amqp.Delivery {
	t.Helper()
	var d amqp.Delivery
	eventually(t, func() bool {
		var (
			ok  bool
			err error
		)
		if d, ok, err = ch.Get(queue, true); err != nil {
			t.Fatalf("get from %s: %v", queue, err)
		}
		return ok
	}, func() any { return queue + " is empty" })
	return d
}

// at returns the test's URL with another address in it.
func at(t *testing.T, scheme, address string) string {
	t.Helper()
	u, err := url.Parse(testenv.AMQPURL(t))
	if err != nil {
		t.Fatal("the test's URL does not parse")
	}
	u.Scheme, u.Host = scheme, address
	return u.String()
}

// proxied starts a proxy in front of the test's server, to be cut and frozen, and
// returns the test's URL through it.
func proxied(t *testing.T) (p *netfault.Proxy, via string) {
	t.Helper()
	u, err := url.Parse(testenv.AMQPURL(t))
	if err != nil {
		t.Fatal("the test's URL does not parse")
	}
	p = netfault.Start(t, u.Host)
	return p, at(t, u.Scheme, p.Address())
}

// closeConnections has the server close the n connections of the test's vhost;
// its list of them lags behind.
func closeConnections(t *testing.T, n int) {
	t.Helper()
	closed := 0
	eventually(t, func() bool {
		closed += testenv.Rabbit(t).CloseConnections()
		return closed >= n
	}, func() any { return []any{"closed", closed, "connections, want", n} })
}

func (f *fixture) logged(text string) int { return strings.Count(f.log.String(), text) }
