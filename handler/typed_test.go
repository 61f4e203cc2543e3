package handler_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/handler"
)

type byPointer struct {
	At time.Time `json:"at"`
}

func (p *byPointer) Kind() string { _ = p.At; return "by-pointer" } // panics on a nil receiver

func entry(t *testing.T, r *handler.Registry, kind string) handler.Handler {
	t.Helper()
	if err := r.Err(); err != nil {
		t.Fatal(err)
	}
	e, ok := r.Lookup(kind)
	if !ok {
		t.Fatalf("no handler for %s", kind)
	}
	return e.Handler
}

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
	h := entry(t, r, "by-pointer")
	if err := h.Consume(t.Context(), ackbox.Job{Payload: []byte(`{"at":"2026-01-02T03:04:05Z"}`)}); err != nil || got == nil || got.At.Year() != 2026 {
		t.Errorf("Consume: %v, args %v", err, got)
	}
	var undecodable *handler.DecodeError
	if err := h.Consume(t.Context(), ackbox.Job{Payload: []byte(`null`)}); !errors.As(err, &undecodable) {
		t.Errorf("null: %v, want a DecodeError", err)
	}
	if err := h.FailAction(t.Context(), ackbox.Job{Payload: []byte(`null`)}, undecodable); err != nil || failed == nil || *failed != (byPointer{}) {
		t.Errorf("FailAction: %v, args %v, want a pointer to zero arguments", err, failed)
	}
}

func TestDecodeErrorKeepsThePayloadToItself(t *testing.T) {
	t.Parallel()
	r := handler.NewRegistry()
	consumed := 0
	cause := error(nil)
	handler.Register(r, &typedFunc[greet]{
		consume: func(context.Context, handler.Job[greet]) error { consumed++; return nil },
		failAction: func(_ context.Context, job handler.Job[greet], c error) error {
			if job.Args != (greet{}) {
				t.Errorf("FailAction got arguments %+v, want zero ones", job.Args)
			}
			cause = c
			return nil
		},
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
			h := entry(t, r, tt.kind)
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
			if err := h.FailAction(t.Context(), job, undecodable); err != nil {
				t.Errorf("FailAction: %v", err)
			}
		})
	}
	if consumed != 0 || cause == nil {
		t.Errorf("Consume ran %d times, FailAction's cause was %v", consumed, cause)
	}
}

func TestNoFailAction(t *testing.T) {
	t.Parallel()
	if err := (handler.NoFailAction[greet]{}).FailAction(t.Context(), handler.Job[greet]{}, errors.New("x")); err != nil {
		t.Error(err)
	}
}
