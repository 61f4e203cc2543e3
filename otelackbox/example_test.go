package otelackbox_test

import (
	"context"
	"fmt"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/dispatcher"
	"github.com/ackbox/ackbox/handler"
	"github.com/ackbox/ackbox/otelackbox"
	"github.com/ackbox/ackbox/outbox"
	"github.com/ackbox/ackbox/worker"
)

// Where a Telemetry goes: into the Config of each part, and around the handlers. What it
// makes of a job's way is one trace.
func Example() {
	spans := tracetest.NewInMemoryExporter() // or an exporter to a collector
	tel, err := otelackbox.New(otelackbox.Config{
		TracerProvider: sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans)),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	hooks := []ackbox.Hook{tel}
	forStore := outbox.Config{HeadersFrom: tel.HeadersFrom, Hooks: hooks}
	_ = dispatcher.Config{Hooks: hooks}
	_ = worker.Config{Hooks: hooks}
	handler.NewRegistry().Use(tel.Middleware)

	// What outbox does when a job is enqueued, and a worker when it calls the handler.
	ctx := context.Background()
	job := ackbox.Job{ID: "42", Kind: "order.confirm", Queue: "orders", Attempt: 1}
	job.Headers = forStore.HeadersFrom(ctx, job)
	confirm := tel.Middleware(func(context.Context, ackbox.Job) error { return nil })
	if err := confirm(ctx, job); err != nil {
		fmt.Println(err)
	}
	made := spans.GetSpans()
	for _, s := range made {
		fmt.Println(s.Name, s.SpanContext.TraceID() == made[0].SpanContext.TraceID())
	}
	// Output:
	// create orders true
	// process orders true
}
