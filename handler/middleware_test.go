package handler_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/handler"
)

func TestPanicsBecomeErrors(t *testing.T) {
	t.Parallel()
	boom := func() { panic("boom") }
	panics := func(handler.Func) handler.Func {
		return func(context.Context, ackbox.Job) error { boom(); return nil }
	}
	r := handler.NewRegistry()
	r.Handle("handler", &plain{
		consume:    func(context.Context, ackbox.Job) error { boom(); return nil },
		failAction: func(context.Context, ackbox.Job, error) error { boom(); return nil },
	})
	r.Handle("middleware", &plain{}, handler.WithMiddleware(panics))
	r.Handle("nothing", &plain{}, handler.WithMiddleware(func(handler.Func) handler.Func { return nil }))
	ofHandler, ofMiddleware := handlerOf(t, r, "handler"), handlerOf(t, r, "middleware")
	for name, err := range map[string]error{
		"Consume":    ofHandler.Consume(t.Context(), ackbox.Job{}),
		"FailAction": ofHandler.FailAction(t.Context(), ackbox.Job{}, nil),
		"middleware": ofMiddleware.Consume(t.Context(), ackbox.Job{}),
	} {
		var p *handler.PanicError
		if !errors.As(err, &p) || p.Value != "boom" || err.Error() != "panic: boom" {
			t.Errorf("%s: %v, want a PanicError", name, err)
			continue
		}
		if !strings.Contains(string(p.Stack), "TestPanicsBecomeErrors") {
			t.Errorf("%s: the stack does not lead to the panic:\n%s", name, p.Stack)
		}
	}
}

// What traces or logs must see a panic as it sees an error.
func TestMiddlewareSeesPanics(t *testing.T) {
	t.Parallel()
	r := handler.NewRegistry()
	var seen error
	r.Use(func(next handler.Func) handler.Func {
		return func(ctx context.Context, job ackbox.Job) error {
			seen = next(ctx, job)
			return seen
		}
	})
	r.Handle("k", &plain{consume: func(context.Context, ackbox.Job) error { panic("boom") }})
	err := handlerOf(t, r, "k").Consume(t.Context(), ackbox.Job{})
	if p := (*handler.PanicError)(nil); !errors.As(seen, &p) || !errors.Is(err, seen) {
		t.Errorf("middleware saw %v, the caller %v", seen, err)
	}
}

func TestMiddlewareOrder(t *testing.T) {
	t.Parallel()
	var order []string
	mark := func(name string) handler.Middleware {
		return func(next handler.Func) handler.Func {
			return func(ctx context.Context, job ackbox.Job) error {
				order = append(order, name)
				return next(ctx, job)
			}
		}
	}
	r := handler.NewRegistry()
	r.Use(mark("use 1"))
	r.Handle("k", &plain{consume: func(context.Context, ackbox.Job) error {
		order = append(order, "handler")
		return nil
	}, failAction: func(context.Context, ackbox.Job, error) error {
		order = append(order, "FailAction")
		return nil
	}}, handler.WithMiddleware(mark("own 1"), mark("own 2")))
	r.Use(mark("use 2")) // wraps what was registered before, too
	h := handlerOf(t, r, "k")
	if err := h.Consume(t.Context(), ackbox.Job{}); err != nil {
		t.Fatal(err)
	}
	if want := []string{"use 1", "use 2", "own 1", "own 2", "handler"}; !slices.Equal(order, want) {
		t.Errorf("order %v, want %v", order, want)
	}
	order = nil
	err := h.FailAction(t.Context(), ackbox.Job{}, errors.New("given up"))
	if want := []string{"use 1", "use 2", "own 1", "own 2", "FailAction"}; err != nil || !slices.Equal(order, want) {
		t.Errorf("FailAction: %v, order %v, want %v", err, order, want)
	}
}

func TestLog(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	r := handler.NewRegistry()
	handler.Register(r, &typedFunc[greet]{consume: func(_ context.Context, job handler.Job[greet]) error {
		if job.Args.Name == "secret" {
			return nil
		}
		return errors.New("no such person")
	}}, handler.WithMiddleware(handler.Log(logger)))
	h := handlerOf(t, r, "greet")
	job := ackbox.Job{ID: "17", Kind: "greet", Attempt: 3, Payload: []byte(`{"name":"secret"}`)}
	if err := h.FailAction(t.Context(), job, errors.New("given up")); err != nil {
		t.Fatal(err)
	}
	for _, payload := range []string{`{"name":"secret"}`, `{"name":"secret two"}`, `{"name":"secret`, `{"age":"secret"}`} {
		_ = h.Consume(t.Context(), ackbox.Job{ID: "17", Kind: "greet", Attempt: 3, Payload: []byte(payload)})
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 5 {
		t.Fatalf("%d lines, want 5:\n%s", len(lines), &out)
	}
	for i, want := range []string{"level=DEBUG", "level=DEBUG", `error="no such person"`, "no valid JSON", "a string cannot be"} {
		if !strings.Contains(lines[i], want) || !strings.Contains(lines[i], "kind=greet id=17 attempt=3 took=") {
			t.Errorf("line %q, want %q in it", lines[i], want)
		}
		if of := "call=FailAction"; strings.Contains(lines[i], of) != (i == 0) {
			t.Errorf("line %q: only the first is of FailAction", lines[i])
		}
	}
	if strings.Contains(out.String(), "secret") {
		t.Errorf("a payload was logged:\n%s", &out)
	}
	handler.Log(nil) // slog.Default, not a panic per job
}

// What a tracer needs to know of a call: which of the two it is, and why.
func TestMiddlewareSeesTheCause(t *testing.T) {
	t.Parallel()
	r := handler.NewRegistry()
	var seen []ackbox.Run
	r.Use(func(next handler.Func) handler.Func {
		return func(ctx context.Context, job ackbox.Job) error {
			run, _ := ackbox.RunFrom(ctx)
			seen = append(seen, run)
			return next(ctx, job)
		}
	})
	given, refused := errors.New("given up"), errors.New("FailAction fails")
	r.Handle("k", &plain{failAction: func(ctx context.Context, _ ackbox.Job, cause error) error {
		if run, _ := ackbox.RunFrom(ctx); !errors.Is(run.Cause, given) || !errors.Is(cause, given) {
			t.Errorf("FailAction's cause is %v, its context's %v", cause, run.Cause)
		}
		return refused
	}})
	h := handlerOf(t, r, "k")
	if err := h.Consume(t.Context(), ackbox.Job{ID: "1"}); err != nil {
		t.Error(err)
	}
	if err := h.FailAction(t.Context(), ackbox.Job{ID: "1"}, given); !errors.Is(err, refused) {
		t.Errorf("FailAction: %v", err)
	}
	if len(seen) != 2 || seen[0].Cause != nil || !errors.Is(seen[1].Cause, given) || seen[1].Job.ID != "1" {
		t.Errorf("middleware saw %+v", seen)
	}
}
