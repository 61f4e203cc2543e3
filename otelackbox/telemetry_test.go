package otelackbox_test

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/otelackbox"
	"github.com/ackbox/ackbox/outbox"
	"github.com/ackbox/ackbox/retry"
	"github.com/ackbox/ackbox/worker"
)

// encoder writes a set's values but for messaging.system, in the order of their keys.
type encoder struct{}

// Encode implements attribute.Encoder.
func (encoder) Encode(i attribute.Iterator) string {
	var words []string
	for i.Next() {
		if kv := i.Attribute(); kv.Key != "messaging.system" {
			words = append(words, kv.Value.String())
		}
	}
	return strings.Join(words, " ")
}

// ID implements attribute.Encoder.
func (encoder) ID() attribute.EncoderID { return attribute.NewEncoderID() }

// From the request to the handler it is one trace, and a retry links to the run before.
func TestOneTrace(t *testing.T) {
	t.Parallel()
	runs := 0
	var seen trace.SpanContext
	a := newApp(t, plain{consume: func(ctx context.Context, _ ackbox.Job) error {
		if runs++; runs == 1 {
			return errNoMail
		}
		seen = trace.SpanContextFromContext(ctx)
		return nil
	}})
	request := a.enqueue(outbox.Key("greeting:42"))
	a.run(func() bool { return a.worker.Stats().Done == 1 && len(a.named("send default")) == 2 })

	creates, sends, runsSpans := a.named("create default"), a.named("send default"), a.named("process default")
	if len(creates) != 1 || len(sends) != 2 || len(runsSpans) != 2 {
		t.Fatalf("%d creates, %d sends, %d runs", len(creates), len(sends), len(runsSpans))
	}
	create := creates[0]
	if create.Parent.SpanID() != request.SpanID() || create.SpanKind != trace.SpanKindProducer {
		t.Errorf("create is a %v of %v", create.SpanKind, create.Parent.SpanID())
	}
	for _, s := range slices.Concat(sends, runsSpans) {
		if s.Parent.SpanID() != create.SpanContext.SpanID() || s.SpanContext.TraceID() != request.TraceID() {
			t.Errorf("%s is no child of create", s.Name)
		}
	}
	if k := sends[0].SpanKind; k != trace.SpanKindClient {
		t.Errorf("send is a %v", k)
	}
	first, second := runsSpans[0], runsSpans[1]
	if first.SpanKind != trace.SpanKindConsumer || first.Status.Code != codes.Error || first.Status.Description != "no mail today" || len(first.Links) != 0 {
		t.Errorf("the first run: %+v", first)
	}
	if second.Status.Code != codes.Unset || len(second.Links) != 1 || !second.Links[0].SpanContext.Equal(first.SpanContext) {
		t.Errorf("the second run: %+v", second)
	}
	if !seen.Equal(second.SpanContext) {
		t.Error("the handler's context has another span")
	}
	got := make(map[attribute.Key]string)
	for _, kv := range second.Attributes {
		got[kv.Key] = kv.Value.String()
	}
	delete(got, "messaging.message.id")
	want := map[attribute.Key]string{
		"messaging.system": "rabbitmq", "messaging.operation.name": "process", "messaging.operation.type": "process",
		"messaging.destination.name": "default", "messaging.rabbitmq.destination.routing_key": "default",
		"ackbox.job.kind": "greet", "ackbox.job.key": "greeting:42", "ackbox.job.attempt": "2",
	}
	if !maps.Equal(got, want) {
		t.Errorf("attributes %v, want %v", got, want)
	}
}

// Each step is counted and measured once.
func TestMetrics(t *testing.T) {
	t.Parallel()
	runs := 0
	a := newApp(t, plain{consume: func(context.Context, ackbox.Job) error {
		switch runs++; runs {
		case 1:
			return errNoMail
		case 2:
			return retry.Snooze(time.Millisecond)
		}
		return nil
	}})
	a.enqueue()
	a.run(func() bool { return a.worker.Stats().Done == 1 && len(a.named("send default")) == 3 })
	want := map[string]float64{
		"ackbox.jobs.enqueued greet default":                                   1,
		"ackbox.jobs.published greet sent default":                             3,
		"ackbox.jobs.finished greet failed default":                            1,
		"ackbox.jobs.finished greet put off default":                           1,
		"ackbox.jobs.finished greet done default":                              1,
		"messaging.client.operation.duration greet default send":               3,
		"ackbox.job.time_to_sent greet default":                                3,
		"ackbox.job.time_to_start greet default":                               3,
		"ackbox.job.time_to_done greet default":                                1,
		"messaging.process.duration greet default process":                     2,
		"messaging.process.duration greet *errors.errorString default process": 1,
	}
	if got := a.metrics(); !maps.Equal(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
	for _, s := range a.named("process default")[1:] {
		if s.Status.Code != codes.Unset {
			t.Errorf("a job that puts itself off is an error: %+v", s.Status)
		}
	}
}

// A job that is given up has a span for FailAction.
func TestGivenUp(t *testing.T) {
	t.Parallel()
	a := newApp(t, plain{consume: func(context.Context, ackbox.Job) error { return retry.Permanent(errNoMail) }})
	a.enqueue()
	a.run(func() bool { return a.worker.Stats().Dead == 1 })
	if spans := a.named("give_up default"); len(spans) != 1 || len(spans[0].Events) != 1 {
		t.Errorf("%+v", spans)
	}
	if got := a.metrics()["ackbox.jobs.finished greet dead default"]; got != 1 {
		t.Errorf("%v dead", got)
	}
}

// queues is a QueueReader.
type queues []outbox.QueueStatus

// QueueStatus implements otelackbox.QueueReader.
func (q queues) QueueStatus(context.Context) ([]outbox.QueueStatus, error) { return q, nil }

// stats is a WorkerStats.
type stats worker.Stats

// Stats implements otelackbox.WorkerStats.
func (s stats) Stats() worker.Stats { return worker.Stats(s) }

// part is a HealthChecker.
type part ackbox.Health

// Health implements ackbox.HealthChecker.
func (p part) Health(context.Context) ackbox.Health { return ackbox.Health(p) }

func TestWatch(t *testing.T) {
	t.Parallel()
	a := newApp(t, plain{})
	stop, err := a.tel.Watch(otelackbox.Parts{
		Queues: queues{
			{Queue: "mail", Due: outbox.Count{N: 10_000, More: true}, Later: outbox.Count{N: 2}, Refused: outbox.Count{N: 3}, Sent: outbox.Count{N: 4}, Running: outbox.Count{N: 5}, Dead: outbox.Count{N: 6}, OldestDue: time.Now().Add(-time.Hour), Consumers: 7, Paused: &outbox.Pause{}},
			{Queue: "idle"},
		},
		Workers: []otelackbox.WorkerStats{stats{InHand: 3, Overdue: 1}, stats{InHand: 4}},
		Checks:  []ackbox.HealthChecker{part{Part: "rabbitmq", Live: true}, part{Part: "store", Live: true, Ready: true}},
	})
	a.must(err)
	got := a.metrics()
	if age := got["ackbox.queue.oldest_due.age mail"]; age < 3600 || age > 3700 {
		t.Errorf("an hour is %v seconds", age)
	}
	delete(got, "ackbox.queue.oldest_due.age mail")
	want := map[string]float64{
		"ackbox.queue.oldest_due.age idle": 0,
		"ackbox.queue.jobs due mail":       10_000, "ackbox.queue.jobs later mail": 2, "ackbox.queue.jobs refused mail": 3,
		"ackbox.queue.jobs sent mail": 4, "ackbox.queue.jobs running mail": 5, "ackbox.queue.jobs dead mail": 6,
		"ackbox.queue.jobs due idle": 0, "ackbox.queue.jobs later idle": 0, "ackbox.queue.jobs refused idle": 0,
		"ackbox.queue.jobs sent idle": 0, "ackbox.queue.jobs running idle": 0, "ackbox.queue.jobs dead idle": 0,
		"ackbox.queue.consumers mail": 7, "ackbox.queue.consumers idle": 0,
		"ackbox.queue.paused mail": 1, "ackbox.queue.paused idle": 0,
		"ackbox.worker.in_hand ": 7, "ackbox.worker.overdue ": 1,
		"ackbox.part.ready rabbitmq": 0, "ackbox.part.live rabbitmq": 1, "ackbox.part.ready store": 1, "ackbox.part.live store": 1,
	}
	if !maps.Equal(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
	a.must(stop())
	if got := a.metrics(); len(got) != 0 {
		t.Errorf("after the end: %v", got)
	}
}

// Strangers who choose kinds do not choose how many series there are.
func TestKindsAreBounded(t *testing.T) {
	t.Parallel()
	a := newApp(t, plain{})
	for i := range 2 * otelackbox.DefaultMaxKinds {
		job := ackbox.Job{Kind: strings.Repeat("x", i+1), Queue: "default"}
		a.tel.Finished(a.Context(), ackbox.Finished{Job: job, Outcome: "dead"})
	}
	got := a.metrics()
	if n := got["ackbox.jobs.finished _OTHER dead default"]; len(got) != otelackbox.DefaultMaxKinds+1 || n != otelackbox.DefaultMaxKinds {
		t.Errorf("%d series, %v of other kinds", len(got), n)
	}
}

func TestNewNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	for _, n := range []int{-1, 10_001} {
		if _, err := otelackbox.New(otelackbox.Config{MaxKinds: n}); err == nil || !strings.Contains(err.Error(), "Config.MaxKinds") {
			t.Errorf("%d: %v", n, err)
		}
	}
}
