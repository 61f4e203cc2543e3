package handler

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"

	"github.com/ackbox/ackbox"
)

// PanicError is a panic of a handler, as an error.
type PanicError struct {
	// Value is what was panicked with.
	Value any
	// Stack is the goroutine's stack at the panic.
	Stack []byte
}

// Error implements error; the stack is not part of it.
func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// guarded is a handler with its middleware on, whose panics are errors.
type guarded struct {
	consume    Func
	failAction Func // its cause is that of its context's Run; nil if there is none
}

func guard(r *registration, middleware []Middleware) guarded {
	g := guarded{consume: plainly(wrapped(r.consume, middleware))}
	if r.failAction != nil {
		g.failAction = plainly(wrapped(func(ctx context.Context, job ackbox.Job) error {
			run, _ := ackbox.RunFrom(ctx)
			return r.failAction(ctx, job, run.Cause)
		}, middleware))
	}
	return g
}

// wrapped recovers twice: next to the handler, so that logging and tracing
// middleware see a failure like any other, and around them all.
func wrapped(call Func, middleware []Middleware) Func {
	call = recovering(call)
	for _, wrap := range slices.Backward(middleware) {
		call = wrap(call)
	}
	return recovering(call)
}

func recovering(next Func) Func {
	return func(ctx context.Context, job ackbox.Job) (err error) {
		defer recovered(&err)
		return next(ctx, job)
	}
}

func recovered(err *error) {
	if p := recover(); p != nil {
		*err = &PanicError{Value: p, Stack: debug.Stack()}
	}
}

// Consume implements registry.Handler.
func (g guarded) Consume(ctx context.Context, job ackbox.Job) error {
	return g.consume(ctx, job)
}

// FailAction implements registry.Handler.
func (g guarded) FailAction(ctx context.Context, job ackbox.Job, cause error) error {
	if g.failAction == nil {
		return nil
	}
	// The worker's Run, if it is there, is the same.
	return g.failAction(ackbox.WithRun(ctx, ackbox.Run{Job: job, Cause: cause}), job)
}
