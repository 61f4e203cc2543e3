package security_test

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/dashboard"
	"github.com/ackbox/ackbox/dispatcher"
	"github.com/ackbox/ackbox/handler"
	"github.com/ackbox/ackbox/memory"
	"github.com/ackbox/ackbox/outbox"
	"github.com/ackbox/ackbox/rabbitmq"
	"github.com/ackbox/ackbox/retry"
	"github.com/ackbox/ackbox/worker"
)

// nowhere is a database that cannot be reached; constructors do no I/O.
const nowhere = "postgres://u:p@127.0.0.1:1/db?sslmode=disable"

// idle is a handler for jobs that never come.
var idle = consumer(func(context.Context, ackbox.Job) error { return nil })

// parts are valid arguments of the constructors.
type parts struct {
	store  *outbox.Store
	broker *memory.Broker
	reg    *handler.Registry
}

func newParts(t *testing.T) parts {
	t.Helper()
	store, err := outbox.NewStore(open(t, nowhere), outbox.Config{})
	must(t, "NewStore", err)
	broker, err := memory.New(memory.Config{})
	must(t, "memory.New", err)
	t.Cleanup(func() { _ = broker.Close() })
	reg := handler.NewRegistry()
	reg.Handle("kind", idle)
	return parts{store, broker, reg}
}

func topology() ackbox.Topology {
	return ackbox.Topology{
		Queues: []ackbox.Queue{{
			Name: "work", Type: ackbox.Quorum, MaxLength: 1,
			Bindings: []ackbox.Binding{{Exchange: "shop", RoutingKey: "order.*"}},
		}},
		// The binding's exchange keeps its name while this one's changes.
		Exchanges: []ackbox.Exchange{{Name: "other", Kind: ackbox.Topic}, {Name: "shop", Kind: ackbox.Topic}},
	}
}

// Any routing key is one that somebody may publish with, and a length has no
// bound but the broker's.
func topologyAccepts() []string {
	return []string{
		"Topology.Queues[0].MaxLength highest", "Topology.Queues[0].Bindings[0].RoutingKey sql",
		"Topology.Queues[0].Bindings[0].RoutingKey quote", "Topology.Queues[0].Bindings[0].RoutingKey newline",
	}
}

func TestStoreConfig(t *testing.T) {
	t.Parallel()
	seed := outbox.Config{Schema: "public", Table: "jobs", Queues: []string{"work"}}
	survives(t, seed, func(c outbox.Config) error {
		_, err := outbox.NewStore(open(t, nowhere), c)
		return err
	}, nil, "HeadersFrom", "Hooks", "Partitioned")
	for _, db := range []*gorm.DB{nil, {}, {Config: &gorm.Config{}}} {
		_, err := outbox.NewStore(db, outbox.Config{})
		wantError(t, err, "db is nil")
	}
}

func TestRabbitMQConfig(t *testing.T) {
	t.Parallel()
	seed := rabbitmq.Config{
		URL: "amqp://localhost", Name: "name", Topology: topology(), RetryLadder: []time.Duration{time.Second},
	}
	construct := func(c rabbitmq.Config) error {
		_, err := rabbitmq.New(c)
		return err
	}
	accepts := append(topologyAccepts(), "Name sql", "Name quote")
	survives(t, seed, construct, accepts, "URLs", "TLS", "Passive", "Arguments", "Logger")
	seed.URL, seed.URLs = "", []string{"amqp://localhost", "amqp://localhost:5673"}
	survives(t, seed, construct, accepts, "URL", "TLS", "Passive", "Arguments", "Logger")
	for _, url := range []string{"", "amqp", "://", "amqp://", "http://localhost", "amqp://localhost:0x10/", "amqp://localhost:-1/", "amqp://localhost:70000/", "amqp://localhost:0/"} {
		_, err := rabbitmq.New(rabbitmq.Config{URL: url})
		if url == "amqp://" {
			must(t, "a URL of defaults", err) // RabbitMQ's specification: all parts are optional
			continue
		}
		wantError(t, err, "Config.URL")
	}
}

func TestMemoryConfig(t *testing.T) {
	t.Parallel()
	seed := memory.Config{Topology: topology(), RetryLadder: []time.Duration{time.Second}}
	survives(t, seed, func(c memory.Config) error {
		b, err := memory.New(c)
		if err == nil {
			err = b.Close()
		}
		return err
	}, topologyAccepts(), "Passive", "Arguments")
}

// Names that others have chosen, and arguments, are whatever AMQP bears: what it does not
// is refused before it is sent.
func TestHostileTopology(t *testing.T) {
	t.Parallel()
	for what, text := range hostile {
		for field, q := range map[string]ackbox.Queue{
			"Name":      {Name: text, Passive: true},
			"Arguments": {Name: "work", Arguments: map[string]any{text: 1}},
		} {
			_, err := rabbitmq.New(rabbitmq.Config{URL: "amqp://localhost", Topology: ackbox.Topology{Queues: []ackbox.Queue{q}}})
			if what == "sql" || what == "quote" {
				must(t, field+" "+what, err)
			} else {
				wantError(t, err, "Queues[0]."+field)
			}
		}
	}
}

func TestDispatcherConfig(t *testing.T) {
	t.Parallel()
	p := newParts(t)
	survives(t, dispatcher.Config{}, func(c dispatcher.Config) error {
		_, err := dispatcher.New(p.store, p.broker, c)
		return err
	}, nil, "Backoff", "Hooks", "Logger")
	_, err := dispatcher.New(p.store, p.broker, dispatcher.Config{Backoff: (*policy)(nil)})
	wantError(t, err, "Config.Backoff")
	_, err = dispatcher.New(nil, p.broker, dispatcher.Config{})
	wantError(t, err, "the store is nil")
	_, err = dispatcher.New((*outbox.Store)(nil), p.broker, dispatcher.Config{})
	wantError(t, err, "the store is nil")
	_, err = dispatcher.New(p.store, nil, dispatcher.Config{})
	wantError(t, err, "the broker is nil")
	_, err = dispatcher.New(p.store, (*rabbitmq.Broker)(nil), dispatcher.Config{})
	wantError(t, err, "the broker is nil")
}

func TestWorkerConfig(t *testing.T) {
	t.Parallel()
	p := newParts(t)
	seed := worker.Config{Queues: []worker.Queue{{Name: ackbox.DefaultQueue}}}
	survives(t, seed, func(c worker.Config) error {
		_, err := worker.New(p.store, p.broker, p.reg, c)
		return err
	}, nil, "Backoff", "Hooks", "Messages", "Logger")
	_, err := worker.New(p.store, p.broker, p.reg, worker.Config{Backoff: (*policy)(nil)})
	wantError(t, err, "Config.Backoff")
	_, err = worker.New(nil, p.broker, p.reg, worker.Config{})
	wantError(t, err, "the ledger is nil")
	_, err = worker.New((*outbox.Store)(nil), p.broker, p.reg, worker.Config{})
	wantError(t, err, "the ledger is nil")
	_, err = worker.New(p.store, nil, p.reg, worker.Config{})
	wantError(t, err, "the broker is nil")
	_, err = worker.New(p.store, (*memory.Broker)(nil), p.reg, worker.Config{})
	wantError(t, err, "the broker is nil")
	_, err = worker.New(p.store, p.broker, nil, worker.Config{})
	wantError(t, err, "the registry is nil")
	_, err = worker.New(p.store, p.broker, handler.NewRegistry(), worker.Config{})
	wantError(t, err, "no handlers")
}

func TestSweeperConfig(t *testing.T) {
	t.Parallel()
	p := newParts(t)
	seed := retry.Config{Rearm: "@every 5s", Resend: "@every 5s", Purge: "@every 5s"}
	survives(t, seed, func(c retry.Config) error {
		_, err := retry.NewSweeper(p.store, p.broker, c)
		return err
	}, nil, "Logger")
	_, err := retry.NewSweeper(nil, p.broker, retry.Config{})
	wantError(t, err, "the store is nil")
	_, err = retry.NewSweeper((*outbox.Store)(nil), p.broker, retry.Config{})
	wantError(t, err, "the store is nil")
	_, err = retry.NewSweeper(p.store, nil, retry.Config{})
	wantError(t, err, "the broker is nil")
	_, err = retry.NewSweeper(p.store, (*rabbitmq.Broker)(nil), retry.Config{})
	wantError(t, err, "the broker is nil")
}

func TestDashboardConfig(t *testing.T) {
	t.Parallel()
	p := newParts(t)
	survives(t, dashboard.Config{}, func(c dashboard.Config) error {
		_, err := dashboard.New(p.store, c)
		return err
	}, []string{"Name sql", "Name quote"}, "Authorize", "Broker", "Mask", "Logger")
	_, err := dashboard.New(nil, dashboard.Config{})
	wantError(t, err, "the ledger is nil")
	_, err = dashboard.New((*outbox.Store)(nil), dashboard.Config{})
	wantError(t, err, "the ledger is nil")
}

// policy is a Policy whose nil pointer cannot be asked.
type policy struct{ wait time.Duration }

// Next implements retry.Policy.
func (p *policy) Next(int) time.Duration { return p.wait }

func TestPolicies(t *testing.T) {
	t.Parallel()
	const most = time.Duration(math.MaxInt64)
	for name, test := range map[string]struct {
		make func() (retry.Policy, error)
		want string // in the error; empty where any wait is allowed
	}{
		"Exponential negative first":   {func() (retry.Policy, error) { return retry.Exponential(-1, time.Hour, 0) }, "first"},
		"Exponential no first":         {func() (retry.Policy, error) { return retry.Exponential(0, time.Hour, 0) }, "first"},
		"Exponential negative limit":   {func() (retry.Policy, error) { return retry.Exponential(1, -1, 0) }, "limit"},
		"Exponential lowest limit":     {func() (retry.Policy, error) { return retry.Exponential(1, math.MinInt64, 0) }, "limit"},
		"Exponential negative jitter":  {func() (retry.Policy, error) { return retry.Exponential(1, 1, -1) }, "jitter"},
		"Exponential much jitter":      {func() (retry.Policy, error) { return retry.Exponential(1, 1, math.MaxFloat64) }, "jitter"},
		"Exponential infinite jitter":  {func() (retry.Policy, error) { return retry.Exponential(1, 1, math.Inf(1)) }, "jitter"},
		"Exponential jitter no number": {func() (retry.Policy, error) { return retry.Exponential(1, 1, math.NaN()) }, "jitter"},
		"Exponential highest":          {func() (retry.Policy, error) { return retry.Exponential(most, most, 1) }, ""},
		"Fixed negative":               {func() (retry.Policy, error) { return retry.Fixed(-1) }, "wait"},
		"Fixed highest":                {func() (retry.Policy, error) { return retry.Fixed(most) }, ""},
		"Steps none":                   {func() (retry.Policy, error) { return retry.Steps() }, "wait"},
		"Steps lowest":                 {func() (retry.Policy, error) { return retry.Steps(1, math.MinInt64) }, "wait 1"},
		"Steps highest":                {func() (retry.Policy, error) { return retry.Steps(most) }, ""},
	} {
		p, err := test.make()
		if test.want != "" {
			wantError(t, err, test.want)
			continue
		}
		must(t, name, err)
		for _, attempt := range []int{math.MinInt, -1, 0, 1, 2, 63, 64, math.MaxInt} {
			if d := p.Next(attempt); d < 0 {
				t.Errorf("%s: after try %d it waits %v", name, attempt, d)
			}
		}
	}
}

// Registering is a constructor, too: its mistakes come out of worker.New.
func TestRegistrations(t *testing.T) {
	t.Parallel()
	p := newParts(t)
	ok := idle
	for name, register := range map[string]func(*handler.Registry){
		"nil handler":   func(r *handler.Registry) { r.Handle("kind", nil) },
		"typed nil":     func(r *handler.Registry) { r.Handle("kind", (*pointed)(nil)) },
		"nil option":    func(r *handler.Registry) { r.Handle("kind", ok, nil) },
		"timeout":       func(r *handler.Registry) { r.Handle("kind", ok, handler.WithTimeout(math.MaxInt64)) },
		"backoff":       func(r *handler.Registry) { r.Handle("kind", ok, handler.WithBackoff((*policy)(nil))) },
		"middleware":    func(r *handler.Registry) { r.Handle("kind", ok, handler.WithMiddleware(nil)) },
		"all of theirs": func(r *handler.Registry) { r.Use(nil); r.Handle("kind", ok) },
	} {
		reg := handler.NewRegistry()
		register(reg)
		if _, err := worker.New(p.store, p.broker, reg, worker.Config{}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for name, kind := range hostile {
		reg := handler.NewRegistry()
		reg.Handle(kind, ok)
		if _, err := worker.New(p.store, p.broker, reg, worker.Config{}); err == nil || !strings.Contains(err.Error(), "kind") {
			t.Errorf("kind %s: error %v", name, err)
		}
	}
}

// pointed is a Handler with pointer methods.
type pointed struct{ consumer }

func wantError(t *testing.T, err error, word string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), word) {
		t.Errorf("error %v does not say %q", fmt.Sprint(err), word)
	}
}
