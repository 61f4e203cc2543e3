package handler_test

import (
	"context"
	"testing"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/handler"
	"github.com/ackbox/ackbox/internal/registry"
)

// handlerOf is the handler of a kind as a worker calls it.
func handlerOf(t *testing.T, r *handler.Registry, kind string) registry.Handler {
	t.Helper()
	if err := r.Err(); err != nil {
		t.Fatal(err)
	}
	e, ok := registry.Lookup(r, kind)
	if !ok {
		t.Fatalf("no handler for %s", kind)
	}
	return e.Handler
}

// greet is a job's arguments; its Kind has a value receiver.
type greet struct {
	Name string `json:"name"`
	Age  int    `json:"age"`
}

func (greet) Kind() string { return "greet" }

// typedFunc is a Typed whose methods are functions; nil ones do nothing.
type typedFunc[A ackbox.Args] struct {
	consume    func(context.Context, handler.Job[A]) error
	failAction func(context.Context, handler.Job[A], error) error
}

func (f *typedFunc[A]) Consume(ctx context.Context, job handler.Job[A]) error {
	if f.consume == nil {
		return nil
	}
	return f.consume(ctx, job)
}

func (f *typedFunc[A]) FailAction(ctx context.Context, job handler.Job[A], cause error) error {
	if f.failAction == nil {
		return nil
	}
	return f.failAction(ctx, job, cause)
}

// plain is a Handler made of functions, as typedFunc is a Typed.
type plain struct {
	consume    func(context.Context, ackbox.Job) error
	failAction func(context.Context, ackbox.Job, error) error
}

func (f *plain) Consume(ctx context.Context, job ackbox.Job) error {
	if f.consume == nil {
		return nil
	}
	return f.consume(ctx, job)
}

func (f *plain) FailAction(ctx context.Context, job ackbox.Job, cause error) error {
	if f.failAction == nil {
		return nil
	}
	return f.failAction(ctx, job, cause)
}
