package handler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/ackbox/ackbox"
)

// DecodeError says that a payload is not a valid encoding of its handler's
// arguments. Trying again cannot help, so the job goes straight to FailAction.
type DecodeError struct {
	// Kind is the job's kind.
	Kind string
	// Err is the decoder's error. Its text may quote the payload, so it is not
	// fit for a log.
	Err error
}

// Error implements error. It says where and how the payload is wrong without
// repeating any of it, so it may be logged.
func (e *DecodeError) Error() string {
	const format = "decode the payload of a %s job: %s"
	var syntax *json.SyntaxError
	var mismatch *json.UnmarshalTypeError
	switch {
	case errors.Is(e.Err, errNull):
		return fmt.Sprintf(format, e.Kind, errNull)
	case errors.As(e.Err, &syntax):
		return fmt.Sprintf(format, e.Kind, fmt.Sprintf("it is no valid JSON (byte %d)", syntax.Offset))
	case errors.As(e.Err, &mismatch):
		// Value is "number 12" for a number: its first word is the type. Other
		// words come of an UnmarshalJSON method that makes such an error itself,
		// and may be the payload's.
		switch found, _, _ := strings.Cut(mismatch.Value, " "); found {
		case "object", "array", "string", "number", "bool":
			return fmt.Sprintf(format, e.Kind, fmt.Sprintf("a %s cannot be field %.100q of type %v (byte %d)", found, mismatch.Field, mismatch.Type, mismatch.Offset))
		}
	}
	return fmt.Sprintf(format, e.Kind, fmt.Sprintf("the arguments refuse it (%T)", e.Err))
}

// Unwrap returns the decoder's error.
func (e *DecodeError) Unwrap() error { return e.Err }

var errNull = errors.New("it is null")

// Register adds h as the handler of the kind that A names. A mistake (a nil
// handler, a bad or duplicate kind, a bad option) is kept and reported by
// [Registry.Err], and so by worker.New.
func Register[A ackbox.Args](r *Registry, h Typed[A], opts ...Option) {
	kind, err := kindOf[A]()
	if err != nil {
		r.fail(fmt.Errorf("handler: register a handler: %w", err))
		return
	}
	if isNil(h) {
		r.fail(fmt.Errorf("handler: register %q: the handler is nil", kind))
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
		args = zeroArgs[A]()
	}
	return t.h.FailAction(ctx, Job[A]{Job: job, Args: args}, cause)
}

func decode[A ackbox.Args](job ackbox.Job) (A, error) {
	var args A
	if err := json.Unmarshal(job.Payload, &args); err != nil {
		return args, &DecodeError{Kind: job.Kind, Err: err}
	}
	if isNil(args) { // "null" into a pointer: the handler would only panic
		return args, &DecodeError{Kind: job.Kind, Err: errNull}
	}
	return args, nil
}

// zeroArgs returns A's zero value or, where A is a pointer, one to a zero value.
func zeroArgs[A ackbox.Args]() (args A) {
	if t := reflect.TypeFor[A](); t.Kind() == reflect.Pointer {
		args, _ = reflect.New(t.Elem()).Interface().(A) // its type is A
	}
	return args
}

// kindOf asks A's zero value for its kind.
func kindOf[A ackbox.Args]() (kind string, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the Kind method of the zero arguments panics: %v", p)
		}
	}()
	if t := reflect.TypeFor[A](); t.Kind() == reflect.Interface {
		return "", fmt.Errorf("the arguments are the interface type %v: want a struct", t)
	}
	return zeroArgs[A]().Kind(), nil
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
