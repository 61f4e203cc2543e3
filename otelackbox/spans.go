package otelackbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/handler"
	"github.com/ackbox/ackbox/retry"
)

// HeadersFrom is for outbox.Config.HeadersFrom. It makes the span "create" of a job that is
// about to be written, a child of ctx's span, and returns the headers that name it. If the
// job is not written after all the span is there all the same, like its transaction's.
func (t *Telemetry) HeadersFrom(ctx context.Context, job ackbox.Job) map[string]string {
	ctx, span := t.tracer.Start(ctx, create+" "+destination(job),
		trace.WithSpanKind(trace.SpanKindProducer),
		trace.WithAttributes(t.spanAttributes(job, create, semconv.MessagingOperationTypeCreate)...))
	defer span.End()
	headers := make(map[string]string, 2)
	t.propagator.Inject(ctx, propagation.MapCarrier(headers))
	return headers
}

// sent makes the span of a publish, when it is over.
func (t *Telemetry) sent(ctx context.Context, p ackbox.Published) {
	_, span := t.tracer.Start(t.parent(ctx, p.Job), send+" "+destination(p.Job),
		trace.WithSpanKind(trace.SpanKindClient),
		trace.WithTimestamp(p.At),
		trace.WithAttributes(t.spanAttributes(p.Job, send, semconv.MessagingOperationTypeSend)...),
		trace.WithAttributes(keyStatus.String(p.Status), keyWaited.Float64(p.Waited.Seconds())))
	if p.Status != "sent" {
		span.SetStatus(codes.Error, p.Error)
		span.SetAttributes(semconv.ErrorTypeKey.String(p.Status))
	}
	span.End(trace.WithTimestamp(p.At.Add(p.Took)))
}

// Middleware is for handler.Registry.Use: it makes the span of each call of a handler, a
// child of the one that enqueued the job, and hands it to the handler in its context. That a
// job puts itself off, or could not have its row, is no error of the span.
func (t *Telemetry) Middleware(next handler.Func) handler.Func {
	return func(ctx context.Context, job ackbox.Job) error {
		operation := process
		run, _ := ackbox.RunFrom(ctx)
		if run.Cause != nil {
			operation = giveUp
		}
		options := []trace.SpanStartOption{
			trace.WithSpanKind(trace.SpanKindConsumer),
			trace.WithAttributes(t.spanAttributes(job, operation, semconv.MessagingOperationTypeProcess)...),
		}
		if before, ok := t.recent.get(runID(job)); ok {
			options = append(options, trace.WithLinks(trace.Link{SpanContext: before, Attributes: []attribute.KeyValue{attribute.String("ackbox.link", "the run before")}}))
		}
		ctx, span := t.tracer.Start(t.parent(ctx, job), operation+" "+destination(job), options...)
		defer span.End()
		if run.Cause != nil {
			span.AddEvent("given up", trace.WithAttributes(semconv.ErrorType(run.Cause)))
		}
		err := next(ctx, job)
		if err == nil {
			return nil
		}
		t.recent.put(runID(job), span.SpanContext())
		if failed(err) {
			span.SetStatus(codes.Error, fmt.Sprintf("%v", err)) // which survives errors that panic
			span.SetAttributes(semconv.ErrorType(err))
		}
		return err
	}
}

// runID is what the tries of one job have in common.
func runID(job ackbox.Job) string { return job.Ledger + "/" + job.ID }

// failed reports whether err is a failure, and not a wish.
func failed(err error) bool {
	if errors.Is(err, ackbox.ErrBusy) || errors.Is(err, ackbox.ErrSuperseded) {
		return false
	}
	course, _ := retry.CourseOf(err)
	return course != retry.Later
}

// since is the time from one machine's moment to ours, which may seem to be in the future.
func since(t time.Time) float64 { return max(0, time.Since(t).Seconds()) }
