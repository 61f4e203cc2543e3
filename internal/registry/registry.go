// Package registry is the window through which a worker looks into a
// handler.Registry: what it must know of a kind ([Entry]) is of no use to an
// application, so package handler does not show it.
package registry

import (
	"context"
	"errors"
	"time"

	"github.com/ackbox/ackbox"
)

// Entry is what is registered for one kind.
type Entry struct {
	// Kind is the kind of the jobs.
	Kind string
	// Handler is called for them: its middleware is on, and its panics are errors.
	Handler Handler
	// Timeout bounds each call; 0 means the worker's default.
	Timeout time.Duration
	// Backoff spaces the tries; nil means the worker's default.
	Backoff interface {
		Next(attempt int) time.Duration
	}
}

// Handler is a handler with both of its methods: one that was registered without a
// FailAction has one that does nothing.
type Handler interface {
	Consume(ctx context.Context, job ackbox.Job) error
	// FailAction gives an error that is [ErrNotCalled] where the application's was
	// not called and never will be.
	FailAction(ctx context.Context, job ackbox.Job, cause error) error
}

// ErrNotCalled says that a job's FailAction was not called because its payload does
// not decode, so there are no arguments to call it with. To call again cannot help.
var ErrNotCalled = errors.New("FailAction was not called")

// Lookup returns what is registered for kind in reg, a *handler.Registry, and
// whether anything is. Package handler sets it when it is initialised.
var Lookup func(reg any, kind string) (Entry, bool)
