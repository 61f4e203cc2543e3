package brokertest

import (
	"bytes"
	"maps"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/content"
	"github.com/ackbox/ackbox/internal/core"
)

func messageTopology() ackbox.Topology {
	return ackbox.Topology{
		Exchanges: []ackbox.Exchange{{Name: "shop", Kind: ackbox.Topic}},
		Queues:    []ackbox.Queue{{Name: work, Bindings: []ackbox.Binding{{Exchange: "shop", RoutingKey: "order.#"}}}},
	}
}

// What the producer of a message without a row said is the same on every try and after
// a requeue, whatever the worker has made of it meanwhile.
func messageIsKept(f *fixture) {
	job := foreign(work)
	job.Exchange, job.RoutingKey = "shop", "order.eu.paid"
	f.publish([]ackbox.Job{job}, core.Acked)
	s := f.subscribe(work, 1)
	d := s.next()
	f.same(d.Job, job)
	f.sameMessage(d.Job, job)
	if !d.FirstSeen.IsZero() {
		f.t.Errorf("it was put aside at %v before it came", d.FirstSeen)
	}
	const found = "found-by-the-worker"
	original := job.ID
	job.ID = found
	var first time.Time
	came := func() {
		f.t.Helper()
		d = s.next()
		f.same(d.Job, job)
		wire := job
		wire.ID = original
		f.sameMessage(d.Job, wire)
	}
	for attempt := 2; attempt <= 3; attempt++ {
		again := d
		again.ID, again.Kind, again.Attempt = found, "kind.as.configured", attempt
		f.must("Retry", f.Retry(f.ctx, again, 0))
		f.must("Ack", d.Receipt.Ack())
		job.Attempt = attempt
		came()
		if first.IsZero() {
			first = d.FirstSeen
		}
		if first.IsZero() || !d.FirstSeen.Equal(first) {
			f.t.Errorf("try %d: first seen %v, before that %v", attempt, d.FirstSeen, first)
		}
	}
	again := d
	again.Kind = "kind.as.configured"
	f.must("Bury", f.Bury(f.ctx, again, "handler: no such order"))
	f.must("Ack", d.Receipt.Ack())
	if n, err := f.RequeueDead(f.ctx, work, ackbox.DeadFilter{Kind: "kind.as.configured", ID: found}, 10); n != 1 || err != nil {
		f.t.Fatalf("RequeueDead: %d, %v; want 1", n, err)
	}
	job.Attempt, job.AttemptsBefore = 4, 3
	came()
	if d.FirstSeen.Before(first) { // zero is, too
		f.t.Errorf("requeued: first seen %v, before that %v; want it to begin anew", d.FirstSeen, first)
	}
	f.must("Ack", d.Receipt.Ack())
}

// What a handler publishes is a message of its own, also if it was made of one that came.
func forwardedMessage(f *fixture) {
	f.publish([]ackbox.Job{foreign(work)}, core.Acked)
	s := f.subscribe(work, 1)
	next := s.nextAcked().Job
	next.ID, next.Kind, next.Payload = "next", "order.shipped", []byte(`{"shipped":true}`)
	next.Exchange, next.RoutingKey = "shop", "order.shipped"
	next.Headers = map[string]string{"by": "post"}
	f.publish([]ackbox.Job{next}, core.Acked)
	d := s.nextAcked()
	f.same(d.Job, next)
	f.sameMessage(d.Job, next)
}

// sameMessage checks that the message which got came as is that which want was
// published as.
func (f *fixture) sameMessage(got, want ackbox.Job) {
	f.t.Helper()
	m := got.Message
	if m == nil {
		f.t.Fatal("a job without a row has no Message")
	}
	if m.ID != want.ID || m.Type != want.Kind || m.Exchange != want.Exchange || m.RoutingKey != want.RoutingKey ||
		m.ContentType != "application/json" || m.Timestamp.Unix() != want.CreatedAt.Unix() || m.Timestamp.Nanosecond() != 0 || !bytes.Equal(m.Body, want.Payload) {
		f.t.Errorf("the message is %+v, want that of %+v", m, want)
	}
	headers := make(map[string]string)
	for name, value := range m.Headers {
		if word, ok := value.(string); ok && !content.Bookkeeping(name) {
			headers[name] = word
		}
	}
	if !maps.Equal(headers, want.Headers) {
		f.t.Errorf("the message's headers are %v, want %v", m.Headers, want.Headers)
	}
}
