package handler_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/handler"
	"github.com/ackbox/ackbox/internal/registry"
)

type byPointer struct {
	At time.Time `json:"at"`
}

func (p *byPointer) Kind() string { _ = p.At; return "by-pointer" } // panics on a nil receiver

func TestPointerArguments(t *testing.T) {
	t.Parallel()
	r := handler.NewRegistry()
	var got, failed *byPointer
	handler.Register(r, &typedFunc[*byPointer]{
		consume: func(_ context.Context, job handler.Job[*byPointer]) error {
			got = job.Args
			return nil
		},
		failAction: func(_ context.Context, job handler.Job[*byPointer], _ error) error {
			failed = job.Args
			return nil
		},
	})
	h := handlerOf(t, r, "by-pointer")
	if err := h.Consume(t.Context(), ackbox.Job{Payload: []byte(`{"at":"2026-01-02T03:04:05Z"}`)}); err != nil || got == nil || got.At.Year() != 2026 {
		t.Errorf("Consume: %v, args %v", err, got)
	}
	var undecodable *handler.DecodeError
	if err := h.Consume(t.Context(), ackbox.Job{Payload: []byte(`null`)}); !errors.As(err, &undecodable) {
		t.Errorf("null: %v, want a DecodeError", err)
	}
	if err := h.FailAction(t.Context(), ackbox.Job{Payload: []byte(`null`)}, undecodable); !errors.Is(err, registry.ErrNotCalled) || failed != nil {
		t.Errorf("FailAction: %v, args %v, want that it was not called", err, failed)
	}
}

func TestDecodeErrorKeepsThePayloadToItself(t *testing.T) {
	t.Parallel()
	r := handler.NewRegistry()
	consumed, failed := 0, 0
	handler.Register(r, &typedFunc[greet]{
		consume:    func(context.Context, handler.Job[greet]) error { consumed++; return nil },
		failAction: func(context.Context, handler.Job[greet], error) error { failed++; return nil },
	})
	handler.Register(r, &typedFunc[*byPointer]{})
	tests := map[string]struct{ kind, payload, want string }{
		"empty":       {"greet", "", "it is no valid JSON (byte 0)"},
		"syntax":      {"greet", `{"name":"secret"`, "it is no valid JSON (byte 16)"},
		"more behind": {"greet", `{} secret`, "it is no valid JSON"},
		"mismatch":    {"greet", `{"name":"x","age":"secret"}`, `a string cannot be field "age" of type int`},
		"number":      {"greet", `{"age":4711.5}`, `a number cannot be field "age" of type int`},
		"own decoder": {"by-pointer", `{"at":"secret"}`, "the arguments refuse it (*time.ParseError)"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			h := handlerOf(t, r, tt.kind)
			job := ackbox.Job{Kind: tt.kind, Payload: []byte(tt.payload)}
			err := h.Consume(t.Context(), job)
			var undecodable *handler.DecodeError
			if !errors.As(err, &undecodable) || undecodable.Kind != tt.kind || errors.Unwrap(err) == nil {
				t.Fatalf("Consume: %v, want a DecodeError", err)
			}
			text := err.Error()
			if !strings.Contains(text, tt.want) || !strings.HasPrefix(text, "decode the payload of a "+tt.kind+" job: ") {
				t.Errorf("says %q, want %q", text, tt.want)
			}
			if strings.Contains(text, "secret") || strings.Contains(text, "4711") {
				t.Errorf("repeats the payload: %q", text)
			}
			err = h.FailAction(t.Context(), job, undecodable)
			if !errors.Is(err, registry.ErrNotCalled) || err.Error() != "FailAction was not called: "+text {
				t.Errorf("FailAction: %v", err)
			}
		})
	}
	if consumed != 0 || failed != 0 {
		t.Errorf("without arguments Consume was called %d times, FailAction %d times", consumed, failed)
	}
}

func TestFunctions(t *testing.T) {
	t.Parallel()
	r := handler.NewRegistry()
	var consumed, failed string
	handler.RegisterFunc(r, func(_ context.Context, job handler.Job[greet]) error {
		consumed = job.ID + " " + job.Args.Name
		return nil
	}, handler.WithFailAction(func(_ context.Context, job handler.Job[greet], cause error) error {
		failed = job.Args.Name + ": " + cause.Error()
		return nil
	}))
	h := handlerOf(t, r, "greet")
	job := ackbox.Job{ID: "1", Payload: []byte(`{"name":"Ada"}`)}
	if err := h.Consume(t.Context(), job); err != nil || consumed != "1 Ada" {
		t.Errorf("Consume: %v, called with %q", err, consumed)
	}
	if err := h.FailAction(t.Context(), job, errors.New("too late")); err != nil || failed != "Ada: too late" {
		t.Errorf("FailAction: %v, called with %q", err, failed)
	}
}

// Nothing is called, middleware included, where there is no FailAction.
func TestWithoutFailAction(t *testing.T) {
	t.Parallel()
	r := handler.NewRegistry()
	calls := 0
	r.Use(func(next handler.Func) handler.Func {
		return func(ctx context.Context, job ackbox.Job) error {
			calls++
			return next(ctx, job)
		}
	})
	r.Handle("plain", consumes{})
	handler.RegisterFunc(r, greets)
	for _, kind := range []string{"plain", "greet"} {
		if err := handlerOf(t, r, kind).FailAction(t.Context(), ackbox.Job{Kind: kind}, errors.New("given up")); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
	if calls != 0 {
		t.Errorf("%d calls went through middleware", calls)
	}
}
