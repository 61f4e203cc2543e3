package handler

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/ackbox/ackbox"
)

// DecodeError says that a payload is not a valid encoding of its handler's
// arguments. Trying again cannot help, so the job goes straight to FailAction.
type DecodeError struct {
	Kind string
	Err  error
}

// Error implements error. It does not repeat the payload.
func (e *DecodeError) Error() string {
	return fmt.Sprintf("decode the payload of a %s job: %v", e.Kind, e.Err)
}

// Unwrap returns the decoder's error.
func (e *DecodeError) Unwrap() error { return e.Err }

// Register adds h as the handler of the kind that A names. A mistake (a nil
// handler, a bad or duplicate kind, a bad option) is kept and reported by
// [Registry.Err], and so by worker.New.
func Register[A ackbox.Args](r *Registry, h Typed[A], opts ...Option) {
	kind, err := kindOf[A]()
	if err != nil {
		r.fail(fmt.Errorf("handler: register %T: %w", h, err))
		return
	}
	if isNil(h) {
		r.add(kind, nil, opts)
		return
	}
	r.add(kind, typed[A]{h}, opts)
}

// typed makes a plain Handler of a typed one.
type typed[A ackbox.Args] struct{ h Typed[A] }

// Consume implements Handler.
func (t typed[A]) Consume(ctx context.Context, job ackbox.Job) error {
	args, err := decode[A](job)
	if err != nil {
		return err
	}
	return t.h.Consume(ctx, Job[A]{Job: job, Args: args})
}

// FailAction implements Handler. A payload that does not decode is no reason
// not to call it: it may be the very cause.
func (t typed[A]) FailAction(ctx context.Context, job ackbox.Job, cause error) error {
	args, err := decode[A](job)
	if err != nil {
		var zero A
		args = zero
	}
	return t.h.FailAction(ctx, Job[A]{Job: job, Args: args}, cause)
}

func decode[A ackbox.Args](job ackbox.Job) (A, error) {
	var args A
	if err := json.Unmarshal(job.Payload, &args); err != nil {
		return args, &DecodeError{Kind: job.Kind, Err: err}
	}
	return args, nil
}

// kindOf asks A's zero value for its kind. Where A is a pointer, a zero value
// to point to is made first.
func kindOf[A ackbox.Args]() (kind string, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the Kind method of the zero arguments panics: %v", p)
		}
	}()
	var args A
	t := reflect.TypeFor[A]()
	switch t.Kind() {
	case reflect.Interface:
		return "", fmt.Errorf("the arguments are the interface type %v: want a struct", t)
	case reflect.Pointer:
		args = reflect.New(t.Elem()).Interface().(A)
	}
	return args.Kind(), nil
}

// isNil reports whether v is nil or holds a nil pointer, map, func, chan,
// slice or interface: calling it could only panic.
func isNil(v any) bool {
	if v == nil {
		return true
	}
	switch value := reflect.ValueOf(v); value.Kind() {
	case reflect.Pointer, reflect.Map, reflect.Func, reflect.Chan, reflect.Slice, reflect.Interface:
		return value.IsNil()
	}
	return false
}
