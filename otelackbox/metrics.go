package otelackbox

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"

	"github.com/ackbox/ackbox"
)

// instruments are what is counted and measured as it happens.
type instruments struct {
	enqueued, published, finished         metric.Int64Counter
	publish, toSent, toStart, toDone, run metric.Float64Histogram
}

// boundaries are those of every histogram, in seconds: a job may take a millisecond or a day.
var boundaries = []float64{.001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10, 30, 60, 300, 1800, 7200, 86400}

func newInstruments(meter metric.Meter) (i instruments, err error) {
	var errs []error
	counter := func(name, description string) metric.Int64Counter {
		c, err := meter.Int64Counter(name, metric.WithUnit("{job}"), metric.WithDescription(description))
		errs = append(errs, err)
		return c
	}
	histogram := func(name, description string) metric.Float64Histogram {
		h, err := meter.Float64Histogram(name, metric.WithUnit("s"), metric.WithDescription(description), metric.WithExplicitBucketBoundaries(boundaries...))
		errs = append(errs, err)
		return h
	}
	i = instruments{
		enqueued:  counter("ackbox.jobs.enqueued", "Jobs written in transactions, which may have been rolled back."),
		published: counter("ackbox.jobs.published", "Jobs put on the wire, by what the broker said."),
		finished:  counter("ackbox.jobs.finished", "Runs of jobs, by outcome."),
		publish:   histogram("messaging.client.operation.duration", "From putting a job on the wire to the broker's answer."),
		toSent:    histogram("ackbox.job.time_to_sent", "From a job's being due (its commit, if at once) to the broker's confirm."),
		toStart:   histogram("ackbox.job.time_to_start", "From putting a job on the wire to the call of its handler."),
		run:       histogram("messaging.process.duration", "How long a handler ran."),
		toDone:    histogram("ackbox.job.time_to_done", "From the writing of a job to its being done, delays and tries included."),
	}
	return i, errors.Join(errs...)
}

// Enqueued implements ackbox.EnqueueHook.
func (t *Telemetry) Enqueued(ctx context.Context, job ackbox.Job) {
	t.metrics.enqueued.Add(ctx, 1, metric.WithAttributeSet(t.set(t.labelOf(job), "")))
}

// Published implements ackbox.PublishHook.
func (t *Telemetry) Published(ctx context.Context, p ackbox.Published) {
	l := t.labelOf(p.Job)
	byStatus := l
	byStatus.word = p.Status
	t.metrics.published.Add(ctx, 1, metric.WithAttributeSet(t.set(byStatus, keyStatus)))
	l.operation = send
	if p.Status != "sent" {
		l.failure = p.Status
	}
	t.metrics.publish.Record(ctx, p.Took.Seconds(), metric.WithAttributeSet(t.set(l, "")))
	if p.Status == "sent" {
		t.metrics.toSent.Record(ctx, (p.Waited + p.Took).Seconds(), metric.WithAttributeSet(t.set(t.labelOf(p.Job), "")))
	}
	t.sent(ctx, p)
}

// Started implements ackbox.StartHook.
func (t *Telemetry) Started(ctx context.Context, job ackbox.Job) {
	if !job.SentAt.IsZero() {
		t.metrics.toStart.Record(ctx, since(job.SentAt), metric.WithAttributeSet(t.set(t.labelOf(job), "")))
	}
}

// Finished implements ackbox.FinishHook.
func (t *Telemetry) Finished(ctx context.Context, f ackbox.Finished) {
	l := t.labelOf(f.Job)
	byOutcome := l
	byOutcome.word = f.Outcome
	t.metrics.finished.Add(ctx, 1, metric.WithAttributeSet(t.set(byOutcome, keyOutcome)))
	if f.Outcome == "done" && !f.Job.SentAt.IsZero() {
		t.metrics.toDone.Record(ctx, since(f.Job.CreatedAt), metric.WithAttributeSet(t.set(l, "")))
	}
	if f.At.IsZero() {
		return // it did not run
	}
	l.operation = process
	if (f.Outcome == "failed" || f.Outcome == "dead") && f.Err != nil {
		l.failure = semconv.ErrorType(f.Err).Value.AsString()
	}
	t.metrics.run.Record(ctx, f.Ran.Seconds(), metric.WithAttributeSet(t.set(l, "")))
}
