package otelackbox

import (
	"cmp"
	"context"
	"fmt"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/ackbox/ackbox"
)

// scope is the name of our tracer and our meter.
const scope = "github.com/ackbox/ackbox/otelackbox"

// Defaults of [Config].
const (
	// DefaultSystem is what messaging.system is.
	DefaultSystem = "rabbitmq"
	// DefaultMaxKinds is how many kinds are told apart.
	DefaultMaxKinds = 200
)

// Config configures a [Telemetry]. The zero Config works.
type Config struct {
	// TracerProvider makes the spans. Default: the global one.
	TracerProvider trace.TracerProvider
	// MeterProvider makes the metrics. Default: the global one.
	MeterProvider metric.MeterProvider
	// Propagator writes a job's headers and reads them. Default: W3C's traceparent and
	// tracestate alone; baggage may hold what is not to stay in a table for years.
	Propagator propagation.TextMapPropagator
	// System is messaging.system of all spans and metrics. Default "rabbitmq".
	System string
	// MaxKinds bounds the values of ackbox.job.kind and of destinations in metrics: those
	// that come later are "_OTHER". Default 200; 1 to 10,000.
	MaxKinds int
}

// Telemetry turns what happens to jobs into metrics and spans. It implements every hook of
// package ackbox. It is safe for concurrent use.
type Telemetry struct {
	tracer     trace.Tracer
	meter      metric.Meter
	propagator propagation.TextMapPropagator
	system     string
	kinds      words
	places     words
	recent     recent
	metrics    instruments
	labels     labels
}

var (
	_ ackbox.EnqueueHook = (*Telemetry)(nil)
	_ ackbox.PublishHook = (*Telemetry)(nil)
	_ ackbox.StartHook   = (*Telemetry)(nil)
	_ ackbox.FinishHook  = (*Telemetry)(nil)
)

// New returns a Telemetry. It starts nothing. It fails on a bad field of cfg, by name, and if
// the meter refuses an instrument.
func New(cfg Config) (*Telemetry, error) {
	cfg.MaxKinds = cmp.Or(cfg.MaxKinds, DefaultMaxKinds)
	if cfg.MaxKinds < 1 || cfg.MaxKinds > 10_000 {
		return nil, fmt.Errorf("otelackbox: Config.MaxKinds is %d: want 1 to 10,000", cfg.MaxKinds)
	}
	if cfg.TracerProvider == nil {
		cfg.TracerProvider = otel.GetTracerProvider()
	}
	if cfg.MeterProvider == nil {
		cfg.MeterProvider = otel.GetMeterProvider()
	}
	if cfg.Propagator == nil {
		cfg.Propagator = propagation.TraceContext{}
	}
	t := &Telemetry{
		tracer:     cfg.TracerProvider.Tracer(scope),
		meter:      cfg.MeterProvider.Meter(scope),
		propagator: cfg.Propagator,
		system:     cmp.Or(cfg.System, DefaultSystem),
		kinds:      words{most: cfg.MaxKinds},
		places:     words{most: cfg.MaxKinds},
	}
	var err error
	if t.metrics, err = newInstruments(t.meter); err != nil {
		return nil, fmt.Errorf("otelackbox: %w", err)
	}
	return t, nil
}

// parent is ctx with the span that job's headers name as its parent.
func (t *Telemetry) parent(ctx context.Context, job ackbox.Job) context.Context {
	return t.propagator.Extract(ctx, propagation.MapCarrier(job.Headers))
}
