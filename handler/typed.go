package handler

import (
	"context"
	"fmt"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/registry"
)

// Register adds h as the handler of the kind that A names. A mistake (a nil
// handler, a bad or duplicate kind, a bad option, a FailAction with other
// parameters) is kept and reported by [Registry.Err], and so by worker.New.
func Register[A ackbox.Args](r *Registry, h Typed[A], opts ...Option) {
	register[A](r, opts, isNil(h), func(e *registration) error {
		failAction, err := methodFailAction[func(context.Context, Job[A], error) error](h)
		if err != nil {
			return err
		}
		return typed(e, h.Consume, failAction)
	})
}

// RegisterFunc adds the function consume as the handler of the kind that A names, as
// [Register] does a value. [WithFailAction] gives it a second one for jobs that are
// given up.
func RegisterFunc[A ackbox.Args](r *Registry, consume func(ctx context.Context, job Job[A]) error, opts ...Option) {
	register[A](r, opts, consume == nil, func(e *registration) error {
		return typed(e, consume, nil)
	})
}

// register adds what build makes of a registration as the handler of A's kind.
func register[A ackbox.Args](r *Registry, opts []Option, absent bool, build func(*registration) error) {
	kind, err := kindOf[A]()
	switch {
	case err != nil:
		r.fail(fmt.Errorf("handler: register a handler: %w", err))
	case absent:
		r.fail(fmt.Errorf("handler: register %q: the handler is nil", kind))
	default:
		r.add(kind, opts, build)
	}
}

// typed makes plain functions of typed ones.
func typed[A ackbox.Args](e *registration, consume func(context.Context, Job[A]) error, failAction func(context.Context, Job[A], error) error) error {
	switch option := e.option.(type) {
	case nil:
	case func(context.Context, Job[A], error) error:
		if failAction != nil {
			return errTwoFailActions
		}
		failAction = option
	default:
		return fmt.Errorf("WithFailAction is given a %T: want a %T", option, failAction)
	}
	e.consume = func(ctx context.Context, job ackbox.Job) error {
		args, err := decode[A](e, job)
		if err != nil {
			return err
		}
		return consume(ctx, Job[A]{Job: job, Args: args})
	}
	if failAction == nil {
		return nil
	}
	e.failAction = func(ctx context.Context, job ackbox.Job, cause error) error {
		args, err := decode[A](e, job)
		if err != nil {
			return fmt.Errorf("%w: %w", registry.ErrNotCalled, err)
		}
		return failAction(ctx, Job[A]{Job: job, Args: args}, cause)
	}
	return nil
}
