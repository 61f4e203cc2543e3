package otelackbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/outbox"
	"github.com/ackbox/ackbox/worker"
)

// QueueReader tells how queues stand; *outbox.Store is one.
type QueueReader interface {
	QueueStatus(ctx context.Context) ([]outbox.QueueStatus, error)
}

// WorkerStats tells what a worker has in hand; *worker.Worker is one.
type WorkerStats interface {
	Stats() worker.Stats
}

// Parts are what [Telemetry.Watch] looks at. Each may be left out.
type Parts struct {
	// Queues is asked at every collection, in one read of some milliseconds. All instances
	// see the same, so it is enough if one role of an application has it.
	Queues QueueReader
	// Workers are those of this process.
	Workers []WorkerStats
	// Checks are the parts of this process whose health is to be told.
	Checks []ackbox.HealthChecker
}

// lookTimeout bounds what one collection asks the database and the parts.
const lookTimeout = 2 * time.Second

// gauges are what is looked at when somebody collects.
type gauges struct {
	age                          metric.Float64ObservableGauge
	jobs, consumers, paused      metric.Int64ObservableGauge
	inHand, overdue, ready, live metric.Int64ObservableGauge
}

// Watch has p looked at whenever metrics are collected, until the function that it returns
// is called. A look that fails leaves its gauges out and is reported to OpenTelemetry's
// error handler.
func (t *Telemetry) Watch(p Parts) (stop func() error, err error) {
	g, all, err := newGauges(t.meter)
	if err != nil {
		return nil, fmt.Errorf("otelackbox: %w", err)
	}
	r, err := t.meter.RegisterCallback(func(ctx context.Context, o metric.Observer) error {
		ctx, cancel := context.WithTimeout(ctx, lookTimeout)
		defer cancel()
		t.lookAtWorkers(o, g, p.Workers)
		lookAtParts(ctx, o, g, p.Checks)
		return t.lookAtQueues(ctx, o, g, p.Queues)
	}, all...)
	if err != nil {
		return nil, fmt.Errorf("otelackbox: %w", err)
	}
	return r.Unregister, nil
}

func newGauges(meter metric.Meter) (g gauges, all []metric.Observable, err error) {
	var errs []error
	count := func(name, unit, description string) metric.Int64ObservableGauge {
		i, err := meter.Int64ObservableGauge(name, metric.WithUnit(unit), metric.WithDescription(description))
		errs, all = append(errs, err), append(all, i)
		return i
	}
	g = gauges{
		jobs:      count("ackbox.queue.jobs", "{job}", "Jobs of a queue by state; counting ends at 10,000 of each."),
		consumers: count("ackbox.queue.consumers", "{worker}", "Living workers that consume a queue."),
		paused:    count("ackbox.queue.paused", "", "1 while a queue is paused."),
		inHand:    count("ackbox.worker.in_hand", "{job}", "Jobs that this process runs, or that wait in it for a slot."),
		overdue:   count("ackbox.worker.overdue", "{job}", "Handlers of this process that have not returned long after their timeout."),
		ready:     count("ackbox.part.ready", "", "1 if a part of this process can do its work; of part rabbitmq: it is connected."),
		live:      count("ackbox.part.live", "", "0 if only a restart can mend a part of this process."),
	}
	g.age, err = meter.Float64ObservableGauge("ackbox.queue.oldest_due.age", metric.WithUnit("s"), metric.WithDescription("For how long the oldest job of a queue has been due without being on the road."))
	return g, append(all, g.age), errors.Join(append(errs, err)...)
}

func (t *Telemetry) lookAtQueues(ctx context.Context, o metric.Observer, g gauges, queues QueueReader) error {
	if queues == nil {
		return nil
	}
	list, err := queues.QueueStatus(ctx)
	if err != nil {
		return fmt.Errorf("otelackbox: look at the queues: %w", err)
	}
	for _, q := range list {
		name := semconv.MessagingDestinationName(t.places.bounded(q.Queue))
		system := semconv.MessagingSystemKey.String(t.system)
		at := metric.WithAttributeSet(attribute.NewSet(name, system))
		age := 0.0
		if !q.OldestDue.IsZero() {
			age = since(q.OldestDue)
		}
		o.ObserveFloat64(g.age, age, at)
		for state, n := range map[string]outbox.Count{"due": q.Due, "later": q.Later, "refused": q.Refused, "sent": q.Sent, "running": q.Running, "dead": q.Dead} {
			o.ObserveInt64(g.jobs, int64(n.N), metric.WithAttributeSet(attribute.NewSet(name, system, keyState.String(state))))
		}
		o.ObserveInt64(g.consumers, int64(q.Consumers), at)
		o.ObserveInt64(g.paused, number(q.Paused != nil), at)
	}
	return nil
}

func (t *Telemetry) lookAtWorkers(o metric.Observer, g gauges, workers []WorkerStats) {
	if len(workers) == 0 {
		return
	}
	inHand, overdue := 0, 0
	for _, w := range workers {
		s := w.Stats()
		inHand, overdue = inHand+s.InHand, overdue+s.Overdue
	}
	o.ObserveInt64(g.inHand, int64(inHand))
	o.ObserveInt64(g.overdue, int64(overdue))
}

func lookAtParts(ctx context.Context, o metric.Observer, g gauges, parts []ackbox.HealthChecker) {
	for _, part := range parts {
		h := part.Health(ctx)
		of := metric.WithAttributeSet(attribute.NewSet(keyPart.String(h.Part)))
		o.ObserveInt64(g.ready, number(h.Ready), of)
		o.ObserveInt64(g.live, number(h.Live), of)
	}
}

func number(yes bool) int64 {
	if yes {
		return 1
	}
	return 0
}
