package handler

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/content"
)

// DecodeError says that a payload is not a valid encoding of its handler's
// arguments. It is a failure like any other: the job is tried again by its backoff
// policy, since during a rolling deploy another instance may know arguments of that
// shape. A job that is given up because of it is dead without its FailAction having
// been called, and its row says so: there are no arguments to call it with.
type DecodeError struct {
	// Kind is the job's kind.
	Kind string
	// ContentType is what its message said its content is, without parameters; empty if
	// it said nothing.
	ContentType string
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
	case errors.Is(e.Err, errNull), errors.Is(e.Err, content.ErrEncoding):
		return fmt.Sprintf(format, e.Kind, e.Err)
	case errors.As(e.Err, &syntax) && e.other():
		return fmt.Sprintf(format, e.Kind, fmt.Sprintf("its content type is %.100q, for which no decoder is registered, and it is no valid JSON (byte %d)", e.ContentType, syntax.Offset))
	case errors.As(e.Err, &syntax):
		return fmt.Sprintf(format, e.Kind, fmt.Sprintf("it is no valid JSON (byte %d)", syntax.Offset))
	case unknownField(e.Err) != "":
		return fmt.Sprintf(format, e.Kind, fmt.Sprintf("it has a field %.100s, which the arguments do not have (handler.Strict)", unknownField(e.Err)))
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

// other reports whether the message said that it is something else than JSON.
func (e *DecodeError) other() bool {
	return e.ContentType != "" && e.ContentType != "application/json" && e.ContentType != "text/json" && !strings.HasSuffix(e.ContentType, "+json")
}

// unknownField is the name, in quotes, of the field that strict JSON was refused for.
func unknownField(err error) string {
	name, ok := strings.CutPrefix(err.Error(), "json: unknown field ")
	if !ok {
		return ""
	}
	return name
}

// Unwrap returns the decoder's error.
func (e *DecodeError) Unwrap() error { return e.Err }

var errNull = errors.New("it is null")

func decode[A ackbox.Args](r *registration, job ackbox.Job) (A, error) {
	var args A
	if err := r.decoder(job)(job.Payload, &args); err != nil {
		return args, &DecodeError{Kind: job.Kind, ContentType: media(job), Err: err}
	}
	if isNil(args) { // "null" into a pointer: the handler would only panic
		return args, &DecodeError{Kind: job.Kind, Err: errNull}
	}
	return args, nil
}

// kindOf asks A's zero value or, where A is a pointer, one to a zero value, for its
// kind.
func kindOf[A ackbox.Args]() (kind string, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the Kind method of the zero arguments panics: %v", p)
		}
	}()
	var args A
	switch t := reflect.TypeFor[A](); t.Kind() {
	case reflect.Interface:
		return "", fmt.Errorf("the arguments are the interface type %v: want a struct", t)
	case reflect.Pointer:
		args, _ = reflect.New(t.Elem()).Interface().(A) // its type is A
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
