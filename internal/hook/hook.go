// Package hook calls an application's hooks ([ackbox.Hook]) for ledger and loops, so that
// none of them does harm: a panic is logged, and the next one is called.
package hook

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/ackbox/ackbox"
)

// List is hooks by what they are told. The zero List has none. It is safe for concurrent
// use, and must not be copied after the first call.
type List struct {
	enqueue []ackbox.EnqueueHook
	publish []ackbox.PublishHook
	start   []ackbox.StartHook
	finish  []ackbox.FinishHook
	logger  *slog.Logger
	quiet   atomic.Int64 // until when no panic is logged, in nanoseconds
}

// New sorts hooks. A nil logger is slog.Default() at the time of a panic.
func New(hooks []ackbox.Hook, logger *slog.Logger) *List {
	l := &List{logger: logger}
	for _, h := range hooks {
		if h, ok := h.(ackbox.EnqueueHook); ok {
			l.enqueue = append(l.enqueue, h)
		}
		if h, ok := h.(ackbox.PublishHook); ok {
			l.publish = append(l.publish, h)
		}
		if h, ok := h.(ackbox.StartHook); ok {
			l.start = append(l.start, h)
		}
		if h, ok := h.(ackbox.FinishHook); ok {
			l.finish = append(l.finish, h)
		}
	}
	return l
}

// Check says what is wrong with a Config's field Hooks, an error for each bad hook.
func Check(hooks []ackbox.Hook) (errs []error) {
	for i, h := range hooks {
		if v := reflect.ValueOf(h); h == nil || v.Kind() == reflect.Pointer && v.IsNil() {
			errs = append(errs, fmt.Errorf("Hooks[%d] is a nil %T: want a value that implements a hook", i, h))
			continue
		}
		switch h.(type) {
		case ackbox.EnqueueHook, ackbox.PublishHook, ackbox.StartHook, ackbox.FinishHook:
		default:
			errs = append(errs, fmt.Errorf("Hooks[%d] is a %T, which would never be called: want one that implements ackbox.EnqueueHook, PublishHook, StartHook or FinishHook", i, h))
		}
	}
	return errs
}

// Publishes reports whether anybody is told of what was published.
func (l *List) Publishes() bool { return len(l.publish) > 0 }

// Enqueued tells that job was written.
func (l *List) Enqueued(ctx context.Context, job ackbox.Job) {
	for _, h := range l.enqueue {
		l.guard(ctx, h, func() { h.Enqueued(ctx, job) })
	}
}

// Published tells what the broker said of a job.
func (l *List) Published(ctx context.Context, p ackbox.Published) {
	for _, h := range l.publish {
		l.guard(ctx, h, func() { h.Published(ctx, p) })
	}
}

// Started tells that the handler of job is about to be called with ctx.
func (l *List) Started(ctx context.Context, job ackbox.Job) {
	for _, h := range l.start {
		l.guard(ctx, h, func() { h.Started(ctx, job) })
	}
}

// Finished tells what became of a run.
func (l *List) Finished(ctx context.Context, f ackbox.Finished) {
	for _, h := range l.finish {
		l.guard(ctx, h, func() { h.Finished(ctx, f) })
	}
}

// quietTime is how long after a panic the next ones are not logged: a hook that panics
// does so for every job.
const quietTime = 10 * time.Second

func (l *List) guard(ctx context.Context, hook any, call func()) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		now, until := time.Now().UnixNano(), l.quiet.Load()
		if now < until || !l.quiet.CompareAndSwap(until, now+int64(quietTime)) {
			return
		}
		logger := l.logger
		if logger == nil {
			logger = slog.Default()
		}
		logger.ErrorContext(ctx, "hook: a hook of the application panicked; the job goes on without it",
			"hook", fmt.Sprintf("%T", hook), "panic", describe(p), "stack", string(debug.Stack()))
	}()
	call()
}

// describe is a panic's value as text. It survives values whose own methods panic.
func describe(p any) string { return fmt.Sprintf("%v", p) }
