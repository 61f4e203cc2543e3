package handler

import (
	"context"
	"log/slog"
	"time"

	"github.com/ackbox/ackbox"
)

// Func is one call of a handler, as [Middleware] sees it: of Consume or of FailAction.
type Func = func(ctx context.Context, job ackbox.Job) error

// Middleware wraps every call of a handler, of Consume and of FailAction: tracing,
// logging, limits of an application's own. ackbox.RunFrom(ctx) tells the two apart:
// its Cause is nil in Consume, and why the job is given up in FailAction.
// Where a handler has no FailAction nothing is called.
//
// What a Middleware returns is called for every job, from many goroutines at once. A
// panic further in reaches it as a [PanicError]; its own becomes one, too. An error
// that it returns counts as the handler's. One that turns jobs away should let
// FailAction pass: its calls are few, and after the last the job is dead.
type Middleware func(next Func) Func

// Log writes one line for each call to logger (nil means slog.Default()): kind, id,
// try, duration and error, "Consume" or "FailAction" as its call; at level debug when it
// succeeded and warn when it failed. It never logs payloads. The worker warns of failed
// tries itself: Log is for those who want every call, or how long it took.
func Log(logger *slog.Logger) Middleware {
	if logger == nil {
		logger = slog.Default()
	}
	return func(next Func) Func {
		return func(ctx context.Context, job ackbox.Job) error {
			start := time.Now()
			err := next(ctx, job)
			call := "Consume"
			if run, _ := ackbox.RunFrom(ctx); run.Cause != nil {
				call = "FailAction"
			}
			attrs := []slog.Attr{
				slog.String("call", call), slog.String("kind", job.Kind), slog.String("id", job.ID),
				slog.Int("attempt", job.Attempt), slog.Duration("took", time.Since(start)),
			}
			if err != nil {
				logger.LogAttrs(ctx, slog.LevelWarn, "handler: a call failed", append(attrs, slog.Any("error", err))...)
			} else {
				logger.LogAttrs(ctx, slog.LevelDebug, "handler: a call succeeded", attrs...)
			}
			return err
		}
	}
}
