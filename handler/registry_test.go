package handler_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/handler"
	"github.com/ackbox/ackbox/internal/registry"
)

type noKind struct{}

func (noKind) Kind() string { return "" }

type badKind struct{}

func (badKind) Kind() string { return "a b" }

type panickyKind struct{ kind *string }

func (p panickyKind) Kind() string { return *p.kind }

type constant time.Duration

func (c *constant) Next(int) time.Duration { return time.Duration(*c) }

// consumes has no FailAction.
type consumes struct{}

func (consumes) Consume(context.Context, ackbox.Job) error { return nil }

type wrongFailAction struct{ consumes }

func (wrongFailAction) FailAction(context.Context, ackbox.Job) error { return nil }

type outOfReach struct{ consumes }

func (*outOfReach) FailAction(context.Context, ackbox.Job, error) error { return nil }

type halfTyped struct{}

func (halfTyped) Consume(context.Context, handler.Job[greet]) error   { return nil }
func (halfTyped) FailAction(context.Context, ackbox.Job, error) error { return nil }

func greets(context.Context, handler.Job[greet]) error { return nil }

func fails[A ackbox.Args](context.Context, handler.Job[A], error) error { return nil }

func TestRegistryReportsMistakes(t *testing.T) {
	t.Parallel()
	ok := &plain{}
	tests := map[string]struct {
		register func(*handler.Registry)
		want     string // "" for no error
	}{
		"fine":               {func(r *handler.Registry) { handler.Register(r, &typedFunc[greet]{}) }, ""},
		"nil typed":          {func(r *handler.Registry) { handler.Register[greet](r, nil) }, `register "greet": the handler is nil`},
		"nil typed pointer":  {func(r *handler.Registry) { handler.Register(r, (*typedFunc[greet])(nil)) }, `register "greet": the handler is nil`},
		"nil plain":          {func(r *handler.Registry) { r.Handle("k", nil) }, `register "k": the handler is nil`},
		"nil plain pointer":  {func(r *handler.Registry) { r.Handle("k", (*plain)(nil)) }, `register "k": the handler is nil`},
		"duplicate":          {func(r *handler.Registry) { r.Handle("k", ok); r.Handle("k", ok) }, "register k: the kind has a handler already"},
		"typed duplicate":    {func(r *handler.Registry) { r.Handle("greet", ok); handler.Register(r, &typedFunc[greet]{}) }, "register greet: the kind has a handler already"},
		"empty kind":         {func(r *handler.Registry) { r.Handle("", ok) }, "kind is empty"},
		"empty typed kind":   {func(r *handler.Registry) { handler.Register(r, &typedFunc[noKind]{}) }, "kind is empty"},
		"bad kind":           {func(r *handler.Registry) { handler.Register(r, &typedFunc[badKind]{}) }, `kind "a b"`},
		"panicking kind":     {func(r *handler.Registry) { handler.Register(r, &typedFunc[panickyKind]{}) }, "Kind method of the zero arguments panics"},
		"interface args":     {func(r *handler.Registry) { handler.Register(r, &typedFunc[ackbox.Args]{}) }, "interface type ackbox.Args: want a struct"},
		"nil function":       {func(r *handler.Registry) { handler.RegisterFunc[greet](r, nil) }, `register "greet": the handler is nil`},
		"nil FailAction":     {func(r *handler.Registry) { handler.RegisterFunc(r, greets, handler.WithFailAction[greet](nil)) }, "register greet: WithFailAction is nil"},
		"function duplicate": {func(r *handler.Registry) { handler.RegisterFunc(r, greets); handler.RegisterFunc(r, greets) }, "register greet: the kind has a handler already"},
		"two FailActions": {func(r *handler.Registry) {
			handler.RegisterFunc(r, greets, handler.WithFailAction(fails[greet]), handler.WithFailAction(fails[greet]))
		}, "register greet: there are two FailActions"},
		"method and option": {func(r *handler.Registry) {
			handler.Register(r, &typedFunc[greet]{}, handler.WithFailAction(fails[greet]))
		}, "register greet: there are two FailActions"},
		"FailAction of others": {func(r *handler.Registry) {
			handler.RegisterFunc(r, greets, handler.WithFailAction(fails[*byPointer]))
		}, "WithFailAction is given a func(context.Context, handler.Job[*github.com/ackbox/ackbox/handler_test.byPointer], error) error: want a func(context.Context, handler.Job[github.com/ackbox/ackbox/handler_test.greet], error) error"},
		"typed FailAction of a plain one": {func(r *handler.Registry) {
			r.Handle("k", ok, handler.WithFailAction(fails[greet]))
		}, "register k: WithFailAction is for typed handlers"},
		"wrong FailAction": {
			func(r *handler.Registry) { r.Handle("k", wrongFailAction{}) },
			"register k: FailAction of handler_test.wrongFailAction is a func(context.Context, ackbox.Job) error and would not be called: want a func(context.Context, ackbox.Job, error) error",
		},
		"plain FailAction of a typed one": {
			func(r *handler.Registry) { handler.Register(r, halfTyped{}) },
			"FailAction of handler_test.halfTyped is a func(context.Context, ackbox.Job, error) error and would not be called: want a func(context.Context, handler.Job[",
		},
		"FailAction out of reach": {
			func(r *handler.Registry) { r.Handle("k", outOfReach{}) },
			"register k: FailAction of handler_test.outOfReach has a pointer receiver and would not be called: register a *handler_test.outOfReach",
		},
		"no FailAction":      {func(r *handler.Registry) { r.Handle("k", consumes{}); handler.RegisterFunc(r, greets) }, ""},
		"nil option":         {func(r *handler.Registry) { r.Handle("k", ok, nil) }, "register k: an option is nil"},
		"zero timeout":       {func(r *handler.Registry) { r.Handle("k", ok, handler.WithTimeout(0)) }, "register k: WithTimeout is 0s: want more than 0"},
		"negative timeout":   {func(r *handler.Registry) { r.Handle("k", ok, handler.WithTimeout(-1)) }, "WithTimeout is -1ns"},
		"nil backoff":        {func(r *handler.Registry) { r.Handle("k", ok, handler.WithBackoff(nil)) }, "register k: WithBackoff is nil"},
		"nil backoff ptr":    {func(r *handler.Registry) { r.Handle("k", ok, handler.WithBackoff((*constant)(nil))) }, "WithBackoff is nil"},
		"nil middleware":     {func(r *handler.Registry) { r.Handle("k", ok, handler.WithMiddleware(nil)) }, "register k: WithMiddleware has a nil middleware"},
		"nil middleware use": {func(r *handler.Registry) { r.Use(nil) }, "Use was given a nil middleware"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var r handler.Registry // the zero one is ready, too
			tt.register(&r)
			err := r.Err()
			if tt.want == "" {
				if err != nil {
					t.Errorf("Err: %v, want none", err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "handler: ") {
				t.Errorf("Err: %v, want one that says %q", err, tt.want)
			}
		})
	}
}

func TestRegistryJoinsMistakes(t *testing.T) {
	t.Parallel()
	r := handler.NewRegistry()
	r.Handle("a", nil)
	r.Handle("", &plain{})
	r.Handle("ok", &plain{})
	if err := r.Err(); err == nil || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("Err: %v, want both mistakes", err)
	}
	if kinds := r.Kinds(); !slices.Equal(kinds, []string{"ok"}) {
		t.Errorf("kinds %v, want the good one", kinds)
	}
}

func TestLookup(t *testing.T) {
	t.Parallel()
	r := handler.NewRegistry()
	pause := constant(time.Hour)
	called := ""
	handler.Register(r, &typedFunc[greet]{consume: func(_ context.Context, job handler.Job[greet]) error {
		called = job.ID + " " + job.Args.Name
		return nil
	}}, handler.WithTimeout(time.Second), handler.WithBackoff(&pause))
	r.Handle("b", &plain{})
	if err := r.Err(); err != nil {
		t.Fatal(err)
	}
	e, ok := registry.Lookup(r, "greet")
	if !ok || e.Kind != "greet" || e.Timeout != time.Second || e.Backoff.Next(1) != time.Hour {
		t.Errorf("entry %+v, %v", e, ok)
	}
	if err := e.Handler.Consume(t.Context(), ackbox.Job{ID: "1", Payload: []byte(`{"name":"Ada"}`)}); err != nil || called != "1 Ada" {
		t.Errorf("Consume: %v, called with %q", err, called)
	}
	if _, ok := registry.Lookup("r", "greet"); ok {
		t.Error("found a kind in something else")
	}
	if _, ok := registry.Lookup(r, "c"); ok {
		t.Error("found a kind that nobody registered")
	}
	if kinds := r.Kinds(); !slices.Equal(kinds, []string{"b", "greet"}) {
		t.Errorf("kinds %v", kinds)
	}
}
