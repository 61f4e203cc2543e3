package otelackbox_test

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/glebarez/sqlite"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/errgroup"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/dispatcher"
	"github.com/ackbox/ackbox/handler"
	"github.com/ackbox/ackbox/memory"
	"github.com/ackbox/ackbox/otelackbox"
	"github.com/ackbox/ackbox/outbox"
	"github.com/ackbox/ackbox/retry"
	"github.com/ackbox/ackbox/worker"
)

// greet is Args of kind "greet".
type greet struct{ Name string }

// Kind names the job.
func (greet) Kind() string { return "greet" }

// app is an application with a telemetry that is read by a test.
type app struct {
	*testing.T
	tel    *otelackbox.Telemetry
	tracer trace.TracerProvider
	spans  *tracetest.InMemoryExporter
	reader *sdkmetric.ManualReader
	store  *outbox.Store
	db     *gorm.DB
	broker *memory.Broker
	worker *worker.Worker
	disp   *dispatcher.Dispatcher
}

// newApp makes one whose jobs of kind "greet" are handled by h.
func newApp(t *testing.T, h handler.Handler) *app {
	t.Helper()
	a := &app{T: t, spans: tracetest.NewInMemoryExporter(), reader: sdkmetric.NewManualReader()}
	a.tracer = sdktrace.NewTracerProvider(sdktrace.WithSyncer(a.spans))
	var err error
	a.tel, err = otelackbox.New(otelackbox.Config{TracerProvider: a.tracer, MeterProvider: sdkmetric.NewMeterProvider(sdkmetric.WithReader(a.reader))})
	a.must(err)
	a.db, err = gorm.Open(sqlite.Open(filepath.Join(t.TempDir(), "jobs.db")+"?_pragma=busy_timeout(5000)"), &gorm.Config{Logger: logger.Discard})
	a.must(err)
	pool, err := a.db.DB()
	a.must(err)
	t.Cleanup(func() { _ = pool.Close() })
	hooks := []ackbox.Hook{a.tel}
	a.store, err = outbox.NewStore(a.db, outbox.Config{HeadersFrom: a.tel.HeadersFrom, Hooks: hooks})
	a.must(err)
	a.must(a.store.Migrate(t.Context()))
	a.broker, err = memory.New(memory.Config{})
	a.must(err)
	t.Cleanup(func() { _ = a.broker.Close() })
	quiet := slog.New(slog.DiscardHandler)
	a.disp, err = dispatcher.New(a.store, a.broker, dispatcher.Config{Hooks: hooks, Logger: quiet, PollInterval: 20 * time.Millisecond})
	a.must(err)
	reg := handler.NewRegistry()
	reg.Use(a.tel.Middleware)
	reg.Handle("greet", h)
	soon, err := retry.Fixed(time.Millisecond)
	a.must(err)
	a.worker, err = worker.New(a.store, a.broker, reg, worker.Config{Hooks: hooks, Logger: quiet, Backoff: soon})
	a.must(err)
	return a
}

func (a *app) must(err error) {
	a.Helper()
	if err != nil {
		a.Fatal(err)
	}
}

// run runs the loops until over returns true, which it has to within a minute.
func (a *app) run(over func() bool) {
	a.Helper()
	ctx, stop := context.WithTimeout(a.Context(), time.Minute)
	defer stop()
	var loops errgroup.Group
	loops.Go(func() error { return a.disp.Run(ctx) })
	loops.Go(func() error { return a.worker.Run(ctx) })
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !over() && ctx.Err() == nil {
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	ended := ctx.Err()
	stop()
	a.must(errors.Join(loops.Wait(), ended))
}

// enqueue writes a job in a request's span, which it returns.
func (a *app) enqueue(opts ...outbox.Option) trace.SpanContext {
	a.Helper()
	ctx, span := a.tracer.Tracer("test").Start(a.Context(), "POST /greetings")
	defer span.End()
	a.must(a.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		return a.store.Enqueue(ctx, tx, greet{"Ada"}, opts...)
	}))
	return span.SpanContext()
}

// named returns the spans of a name, the first to end first.
func (a *app) named(name string) (list []tracetest.SpanStub) {
	for _, s := range a.spans.GetSpans() {
		if s.Name == name {
			list = append(list, s)
		}
	}
	return list
}

// metrics are the values of all metrics: of a histogram how often it was recorded.
func (a *app) metrics() map[string]float64 {
	a.Helper()
	var all metricdata.ResourceMetrics
	a.must(a.reader.Collect(a.Context(), &all))
	values := make(map[string]float64)
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					values[m.Name+" "+p.Attributes.Encoded(encoder{})] += float64(p.Value)
				}
			case metricdata.Gauge[int64]:
				for _, p := range data.DataPoints {
					values[m.Name+" "+p.Attributes.Encoded(encoder{})] = float64(p.Value)
				}
			case metricdata.Gauge[float64]:
				for _, p := range data.DataPoints {
					values[m.Name+" "+p.Attributes.Encoded(encoder{})] = p.Value
				}
			case metricdata.Histogram[float64]:
				for _, p := range data.DataPoints {
					values[m.Name+" "+p.Attributes.Encoded(encoder{})] += float64(p.Count)
				}
			default:
				a.Errorf("%s is a %T", m.Name, data)
			}
		}
	}
	return values
}

// plain is a handler of functions.
type plain struct {
	consume    func(context.Context, ackbox.Job) error
	failAction func(context.Context, ackbox.Job, error) error
}

// Consume implements handler.Handler.
func (p plain) Consume(ctx context.Context, job ackbox.Job) error { return p.consume(ctx, job) }

// FailAction implements handler's optional method.
func (p plain) FailAction(ctx context.Context, job ackbox.Job, cause error) error {
	if p.failAction == nil {
		return nil
	}
	return p.failAction(ctx, job, cause)
}

var errNoMail = errors.New("no mail today")
