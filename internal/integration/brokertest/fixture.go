package brokertest

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
)

// work is the queue that a test uses if one is enough.
const work = "work"

// oneQueue is the topology with which most tests run.
func oneQueue() ackbox.Topology {
	return ackbox.Topology{Queues: []ackbox.Queue{{Name: work}}}
}

// fixture is one test's broker.
type fixture struct {
	t   *testing.T
	ctx context.Context //nolint:containedctx // ends with the test, as t does: it is its deadline
	Broker
}

// open makes a ready broker that is closed at the end of the test.
func open(t *testing.T, factory Factory, topology ackbox.Topology) *fixture {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Deadline)
	t.Cleanup(cancel)
	f := &fixture{t: t, ctx: ctx, Broker: factory(t, topology)}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	if err := f.Ready(ctx); err != nil {
		t.Fatalf("Ready: %v", err)
	}
	return f
}

// in returns f for use in a subtest.
func (f *fixture) in(t *testing.T) *fixture {
	t.Helper()
	return &fixture{t: t, ctx: f.ctx, Broker: f.Broker}
}

// publish publishes jobs and checks the statuses that come back: one for all,
// or one for each.
func (f *fixture) publish(jobs []ackbox.Job, want ...core.Status) {
	f.t.Helper()
	outcomes := f.Publish(f.ctx, jobs)
	if len(outcomes) != len(jobs) {
		f.t.Fatalf("Publish: %d outcomes for %d jobs", len(outcomes), len(jobs))
	}
	for i, o := range outcomes {
		status := want[0]
		if len(want) > 1 {
			status = want[i]
		}
		if o.Status != status {
			f.t.Fatalf("Publish: job %d is %v (%s), want %v", i, o.Status, o.Reason, status)
		}
		if o.Status != core.Acked && o.Reason == "" {
			f.t.Errorf("Publish: job %d is %v without a reason", i, o.Status)
		}
	}
}

// waits waits until queue has n ready messages.
func (f *fixture) waits(queue string, n int) {
	f.t.Helper()
	got := -1
	f.eventually(func() bool {
		var err error
		if got, err = f.Waiting(f.ctx, queue); err != nil {
			f.t.Fatalf("Waiting: %v", err)
		}
		return got == n
	}, func() string { return fmt.Sprintf("queue %q has %d ready messages, want %d", queue, got, n) })
}

// eventually asks ok again and again until it says yes; the test fails with
// what complain says if the deadline comes first.
func (f *fixture) eventually(ok func() bool, complain func() string) {
	f.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-f.ctx.Done():
			f.t.Fatal(complain())
		}
	}
}

// must fails the test if err is not nil.
func (f *fixture) must(what string, err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatalf("%s: %v", what, err)
	}
}

// subscription is one call of Consume in a goroutine.
type subscription struct {
	f          *fixture
	deliveries chan core.Delivery // every delivery that was handed out
	stop       context.CancelFunc // ends Consume's ctx
	done       chan error         // what Consume returned
}

// subscribe consumes queue until the test ends. Handle returns at once.
func (f *fixture) subscribe(queue string, prefetch int) *subscription {
	f.t.Helper()
	return f.subscribeFunc(queue, prefetch, func(core.Delivery) {})
}

// subscribeFunc is subscribe with something to do before handle returns.
func (f *fixture) subscribeFunc(queue string, prefetch int, before func(core.Delivery)) *subscription {
	f.t.Helper()
	ctx, stop := context.WithCancel(f.ctx)
	s := &subscription{f: f, deliveries: make(chan core.Delivery, 1000), stop: stop, done: make(chan error, 1)}
	returned := make(chan struct{})
	go func() {
		defer close(returned)
		s.done <- f.Consume(ctx, queue, prefetch, func(d core.Delivery) {
			s.deliveries <- d
			before(d)
		})
	}()
	f.t.Cleanup(func() {
		stop()
		_ = f.Close() // frees a Consume that waits for receipts
		<-returned
	})
	return s
}

// in returns s for use in a subtest.
func (s *subscription) in(t *testing.T) *subscription {
	t.Helper()
	return &subscription{f: s.f.in(t), deliveries: s.deliveries, stop: s.stop, done: s.done}
}

// next waits for a delivery.
func (s *subscription) next() core.Delivery {
	s.f.t.Helper()
	select {
	case d := <-s.deliveries:
		return d
	case err := <-s.done:
		s.f.t.Fatalf("Consume returned %v while a delivery was awaited", err)
	case <-s.f.ctx.Done():
		s.f.t.Fatal("no delivery came")
	}
	panic("unreachable")
}

// nextAcked waits for a delivery and acks it.
func (s *subscription) nextAcked() core.Delivery {
	s.f.t.Helper()
	d := s.next()
	s.f.must("Ack", d.Receipt.Ack())
	return d
}

// returned waits for Consume to return.
func (s *subscription) returned() error {
	s.f.t.Helper()
	select {
	case err := <-s.done:
		return err
	case <-s.f.ctx.Done():
		s.f.t.Fatal("Consume did not return")
	}
	panic("unreachable")
}

var lastID atomic.Int64

// jobFor returns a job with every field set that travels, addressed to queue
// through the default exchange.
// ledger is the identity of the ledger of these jobs.
const ledger = "00000000-0000-4000-8000-000000000001"

func jobFor(queue string) ackbox.Job {
	n := lastID.Add(1)
	return ackbox.Job{
		ID:          fmt.Sprintf("01890000-0000-7000-8000-%012x", n),
		Kind:        "order.confirm",
		Queue:       queue,
		RoutingKey:  queue,
		Mandatory:   true,
		Payload:     []byte(fmt.Sprintf(`{"order":%d}`, n)),
		Headers:     map[string]string{"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "tenant": "zürich ✓"},
		Attempt:     1,
		MaxAttempts: 25,
		CreatedAt:   time.Date(2026, 2, 3, 4, 5, 6, 789e6, time.UTC),
		Ledger:      ledger,
	}
}

// jobsFor returns n such jobs.
func jobsFor(queue string, n int) []ackbox.Job {
	jobs := make([]ackbox.Job, n)
	for i := range jobs {
		jobs[i] = jobFor(queue)
	}
	return jobs
}

// foreign returns a message of another service: no ledger row stands behind it.
func foreign(queue string) ackbox.Job {
	job := jobFor(queue)
	job.Ledger, job.MaxAttempts = "", 0
	return job
}

// same checks that got arrived as want, Exchange and RoutingKey included.
func (f *fixture) same(got, want ackbox.Job) {
	f.t.Helper()
	f.sameContent(got, want)
	if got.Exchange != want.Exchange || got.RoutingKey != want.RoutingKey {
		f.t.Errorf("came by exchange %q, key %q; want %q, %q", got.Exchange, got.RoutingKey, want.Exchange, want.RoutingKey)
	}
}

// sameContent is same for a message that has been parked or buried meanwhile,
// which changes its route.
func (f *fixture) sameContent(got, want ackbox.Job) {
	f.t.Helper()
	check := func(field string, got, want any) {
		f.t.Helper()
		if got != want {
			f.t.Errorf("%s is %v, want %v", field, got, want)
		}
	}
	check("ID", got.ID, want.ID)
	check("Kind", got.Kind, want.Kind)
	check("Queue", got.Queue, want.Queue)
	check("Attempt", got.Attempt, want.Attempt)
	check("AttemptsBefore", got.AttemptsBefore, want.AttemptsBefore)
	check("MaxAttempts", got.MaxAttempts, want.MaxAttempts)
	check("Resend", got.Resend, want.Resend)
	check("Ledger", got.Ledger, want.Ledger)
	if check("SentAt", got.SentAt.UnixMilli(), want.SentAt.UnixMilli()); want.SentAt.IsZero() {
		check("CreatedAt in seconds", got.CreatedAt.Unix(), want.CreatedAt.Unix())
	} else {
		check("CreatedAt", got.CreatedAt.UnixMilli(), want.CreatedAt.UnixMilli())
	}
	if !bytes.Equal(got.Payload, want.Payload) {
		f.t.Errorf("Payload has %d bytes and differs from the %d that were sent", len(got.Payload), len(want.Payload))
	}
	if !maps.Equal(got.Headers, want.Headers) {
		f.t.Errorf("Headers are %v, want %v", got.Headers, want.Headers)
	}
}
