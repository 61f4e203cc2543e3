package handler

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ackbox/ackbox"
)

// registration is what is known of one kind.
type registration struct {
	consume Func
	// failAction is nil if the handler has none.
	failAction func(ctx context.Context, job ackbox.Job, cause error) error
	timeout    time.Duration
	backoff    Backoff
	middleware []Middleware
	decoders   map[string]Decoder
	strict     bool
	registry   *Registry
	// option is the typed function that WithFailAction was given.
	option any
}

// Option sets up one registration.
type Option func(*registration) error

const maxTimeout = 30 * 24 * time.Hour

// WithTimeout bounds each call of this handler, of Consume and of FailAction,
// instead of the worker's default. d must be positive, and at most 30 days.
func WithTimeout(d time.Duration) Option {
	return func(r *registration) error {
		if d <= 0 || d > maxTimeout {
			return fmt.Errorf("WithTimeout is %v: want more than 0 and at most %v", d, maxTimeout)
		}
		r.timeout = d
		return nil
	}
}

// Backoff decides how long a job waits after its attempt-th try has failed
// (attempt counts from 1). Package retry has policies. It must be safe for
// concurrent use.
type Backoff interface {
	Next(attempt int) time.Duration
}

// WithBackoff spaces this handler's tries instead of the worker's default.
func WithBackoff(b Backoff) Option {
	return func(r *registration) error {
		if isNil(b) {
			return errors.New("WithBackoff is nil: want a policy such as retry.Exponential")
		}
		r.backoff = b
		return nil
	}
}

// WithMiddleware wraps every call of this handler, inside of what [Registry.Use]
// adds; the first is the outermost.
func WithMiddleware(mw ...Middleware) Option {
	return func(r *registration) error {
		if slices.ContainsFunc(mw, func(m Middleware) bool { return m == nil }) {
			return errors.New("WithMiddleware has a nil middleware")
		}
		r.middleware = append(r.middleware, mw...)
		return nil
	}
}
