package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	prometheusexporter "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/exporters/stdout/stdouttrace"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/ackbox/ackbox/otelackbox"
)

// telemetry is what this process tells of itself: metrics to whoever asks at /metrics,
// spans into a file. An application sends its spans to a collector instead, by the exporter
// go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp.
type telemetry struct {
	*otelackbox.Telemetry
	exposition http.Handler
	tracer     trace.Tracer
	end        []func(context.Context) error
}

func newTelemetry(cfg config) (t *telemetry, err error) {
	t = &telemetry{}
	defer func() {
		if err != nil {
			err = errors.Join(err, t.close())
		}
	}()
	about := resource.NewSchemaless(semconv.ServiceName("orders"), semconv.ServiceInstanceID(fmt.Sprintf("%s %d", cfg.role, os.Getpid())))

	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	exporter, err := prometheusexporter.New(prometheusexporter.WithRegisterer(registry), prometheusexporter.WithoutScopeInfo())
	if err != nil {
		return t, fmt.Errorf("export metrics: %w", err)
	}
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(exporter), sdkmetric.WithResource(about))
	t.end = append(t.end, meters.Shutdown)
	t.exposition = promhttp.HandlerFor(registry, promhttp.HandlerOpts{})

	spans := []sdktrace.TracerProviderOption{sdktrace.WithResource(about)}
	if cfg.traceFile != "" {
		file, err := os.OpenFile(cfg.traceFile, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return t, fmt.Errorf("open TRACE_FILE: %w", err)
		}
		t.end = append(t.end, func(context.Context) error { return file.Close() })
		lines, err := stdouttrace.New(stdouttrace.WithWriter(file))
		if err != nil {
			return t, fmt.Errorf("export spans: %w", err)
		}
		spans = append(spans, sdktrace.WithBatcher(lines, sdktrace.WithBatchTimeout(time.Second)))
	}
	tracers := sdktrace.NewTracerProvider(spans...)
	t.end = append(t.end, tracers.Shutdown)
	t.tracer = tracers.Tracer("orders")

	t.Telemetry, err = otelackbox.New(otelackbox.Config{TracerProvider: tracers, MeterProvider: meters})
	return t, err
}

// close writes what is left to be told, the last thing that was opened first.
func (t *telemetry) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	var errs []error
	for i := len(t.end) - 1; i >= 0; i-- {
		errs = append(errs, t.end[i](ctx))
	}
	return errors.Join(errs...)
}

// traced makes the span of a request, a child of the client's if it names one.
func (t *telemetry) traced(name string, next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := propagation.TraceContext{}.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
		ctx, span := t.tracer.Start(ctx, name, trace.WithSpanKind(trace.SpanKindServer))
		defer span.End()
		next(w, r.WithContext(ctx))
	})
}
