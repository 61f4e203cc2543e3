package handler

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/ackbox/ackbox"
)

// WithFailAction has failAction called when a job is given up, as the method of that
// name of a [Typed] is. It is for [RegisterFunc], and for the handler of another that
// has no such method. A is the type of the handler's arguments.
func WithFailAction[A ackbox.Args](failAction func(ctx context.Context, job Job[A], cause error) error) Option {
	return func(r *registration) error {
		if failAction == nil {
			return errors.New("WithFailAction is nil: want a function, or leave it out")
		}
		if r.option != nil {
			return errTwoFailActions
		}
		r.option = failAction
		return nil
	}
}

var errTwoFailActions = errors.New("there are two FailActions: want one, the handler's method or one WithFailAction")

// methodFailAction returns h's method FailAction as an F, or nil if h has none. One
// that is there but would never be called is an error.
func methodFailAction[F any](h any) (method F, err error) {
	const name = "FailAction"
	want := reflect.TypeFor[F]()
	value := reflect.ValueOf(h)
	found := value.MethodByName(name)
	if !found.IsValid() {
		if _, ok := reflect.PointerTo(value.Type()).MethodByName(name); ok {
			return method, fmt.Errorf("%s of %v has a pointer receiver and would not be called: register a *%v", name, value.Type(), value.Type())
		}
		return method, nil
	}
	if found.Type() != want {
		return method, fmt.Errorf("%s of %v is a %v and would not be called: want a %v", name, value.Type(), found.Type(), want)
	}
	method, _ = found.Interface().(F) // its type is F
	return method, nil
}
