package handler

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"time"

	"github.com/ackbox/ackbox"
)

// ConsumeFunc is the signature of [Handler].Consume.
type ConsumeFunc func(ctx context.Context, job ackbox.Job) error

// Middleware wraps Consume: tracing, logging, limits of an application's own.
// What it returns is called for every job, from many goroutines at once. A
// panic further in reaches it as a [PanicError]; its own becomes one, too.
// FailAction is not wrapped.
type Middleware func(next ConsumeFunc) ConsumeFunc

// Timeout ends the context of Consume after d. The worker applies it with the
// job's timeout; use it yourself only to be stricter.
func Timeout(d time.Duration) Middleware {
	return func(next ConsumeFunc) ConsumeFunc {
		return func(ctx context.Context, job ackbox.Job) error {
			ctx, cancel := context.WithTimeout(ctx, d)
			defer cancel()
			return next(ctx, job)
		}
	}
}

// Log writes one line for each Consume to logger (nil means slog.Default()):
// kind, id, try, duration and error; at level debug when it succeeded and warn
// when it failed. It never logs payloads.
func Log(logger *slog.Logger) Middleware {
	if logger == nil {
		logger = slog.Default()
	}
	return func(next ConsumeFunc) ConsumeFunc {
		return func(ctx context.Context, job ackbox.Job) error {
			start := time.Now()
			err := next(ctx, job)
			attrs := []slog.Attr{
				slog.String("kind", job.Kind), slog.String("id", job.ID),
				slog.Int("attempt", job.Attempt), slog.Duration("took", time.Since(start)),
			}
			if err != nil {
				logger.LogAttrs(ctx, slog.LevelWarn, "job failed", append(attrs, slog.Any("error", err))...)
			} else {
				logger.LogAttrs(ctx, slog.LevelDebug, "job done", attrs...)
			}
			return err
		}
	}
}

// PanicError is a panic of a handler, as an error.
type PanicError struct {
	// Value is what was panicked with.
	Value any
	// Stack is the goroutine's stack at the panic.
	Stack []byte
}

// Error implements error; the stack is not part of it.
func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// guarded is a Handler with its middleware on, whose panics are errors.
type guarded struct {
	consume ConsumeFunc
	inner   Handler
}

func guard(h Handler, middleware []Middleware) Handler {
	// Recovered twice: next to the handler, so that logging and tracing
	// middleware see a failure like any other, and around them all.
	consume := recovering(h.Consume)
	for _, wrap := range slices.Backward(middleware) {
		consume = wrap(consume)
	}
	return guarded{consume: recovering(consume), inner: h}
}

func recovering(next ConsumeFunc) ConsumeFunc {
	return func(ctx context.Context, job ackbox.Job) (err error) {
		defer recovered(&err)
		return next(ctx, job)
	}
}

// Consume implements Handler.
func (g guarded) Consume(ctx context.Context, job ackbox.Job) error {
	return g.consume(ctx, job)
}

// FailAction implements Handler.
func (g guarded) FailAction(ctx context.Context, job ackbox.Job, cause error) (err error) {
	defer recovered(&err)
	return g.inner.FailAction(ctx, job, cause)
}

func recovered(err *error) {
	if p := recover(); p != nil {
		*err = &PanicError{Value: p, Stack: debug.Stack()}
	}
}
