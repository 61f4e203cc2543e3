package handler

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/ackbox/ackbox/internal/name"
)

// Registry maps kinds to handlers. Register everything while the application
// starts, then give the Registry to worker.New. The zero Registry is empty and
// ready. Safe for concurrent use.
type Registry struct {
	mu         sync.RWMutex
	entries    map[string]*Entry
	middleware []Middleware
	errs       []error
}

// NewRegistry returns an empty Registry.
func NewRegistry() *Registry {
	return &Registry{}
}

// Backoff decides how long a job waits after its attempt-th try has failed
// (attempt counts from 1). Package retry has policies. It must be safe for
// concurrent use.
type Backoff interface {
	Next(attempt int) time.Duration
}

// Entry is what is registered for one kind.
type Entry struct {
	// Kind is the kind of the jobs.
	Kind string
	// Handler is called for them.
	Handler Handler
	// Timeout bounds each call; 0 means the worker's default.
	Timeout time.Duration
	// Backoff spaces the tries; nil means the worker's default.
	Backoff Backoff

	middleware []Middleware
}

// Option sets up one registration.
type Option func(*Entry) error

const maxTimeout = 30 * 24 * time.Hour

// WithTimeout bounds each call of this handler, of Consume and of FailAction,
// instead of the worker's default. d must be positive, and at most 30 days.
func WithTimeout(d time.Duration) Option {
	return func(e *Entry) error {
		if d <= 0 || d > maxTimeout {
			return fmt.Errorf("WithTimeout is %v: want more than 0 and at most %v", d, maxTimeout)
		}
		e.Timeout = d
		return nil
	}
}

// WithBackoff spaces this handler's tries instead of the worker's default.
func WithBackoff(b Backoff) Option {
	return func(e *Entry) error {
		if isNil(b) {
			return errors.New("WithBackoff is nil: want a policy such as retry.Exponential")
		}
		e.Backoff = b
		return nil
	}
}

// WithMiddleware wraps this handler's Consume, inside of what [Registry.Use]
// adds; the first is the outermost.
func WithMiddleware(mw ...Middleware) Option {
	return func(e *Entry) error {
		if slices.ContainsFunc(mw, func(m Middleware) bool { return m == nil }) {
			return errors.New("WithMiddleware has a nil middleware")
		}
		e.middleware = append(e.middleware, mw...)
		return nil
	}
}

// Handle adds h as the handler of kind. A mistake (a nil handler, a bad or
// duplicate kind, a bad option) is kept and reported by [Registry.Err], and so
// by worker.New.
func (r *Registry) Handle(kind string, h Handler, opts ...Option) {
	if isNil(h) {
		r.fail(fmt.Errorf("handler: register %.100q: the handler is nil", kind))
		return
	}
	r.add(kind, h, opts)
}

// Use wraps the Consume of every handler, those registered before included.
// The first middleware is the outermost.
func (r *Registry) Use(mw ...Middleware) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range mw {
		if m == nil {
			r.errs = append(r.errs, errors.New("handler: Use was given a nil middleware"))
			continue
		}
		r.middleware = append(r.middleware, m)
	}
}

func (r *Registry) add(kind string, h Handler, opts []Option) {
	if err := name.Check("kind", kind); err != nil {
		r.fail(fmt.Errorf("handler: register a handler: %w", err))
		return
	}
	e := &Entry{Kind: kind, Handler: h}
	for _, opt := range opts {
		if opt == nil {
			r.fail(fmt.Errorf("handler: register %s: an option is nil", kind))
			return
		}
		if err := opt(e); err != nil {
			r.fail(fmt.Errorf("handler: register %s: %w", kind, err))
			return
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, taken := r.entries[kind]; taken {
		r.errs = append(r.errs, fmt.Errorf("handler: register %s: the kind has a handler already", kind))
		return
	}
	if r.entries == nil {
		r.entries = make(map[string]*Entry)
	}
	r.entries[kind] = e
}

func (r *Registry) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.errs = append(r.errs, err)
}

// Err returns every mistake made in registering, joined, or nil.
func (r *Registry) Err() error {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return errors.Join(r.errs...)
}

// Kinds returns the registered kinds, sorted.
func (r *Registry) Kinds() []string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	kinds := make([]string, 0, len(r.entries))
	for kind := range r.entries {
		kinds = append(kinds, kind)
	}
	slices.Sort(kinds)
	return kinds
}

// Lookup returns what is registered for kind, and whether anything is. The
// Handler it holds turns panics into errors and has its middleware on.
func (r *Registry) Lookup(kind string) (Entry, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	e, ok := r.entries[kind]
	if !ok {
		return Entry{}, false
	}
	found := *e
	found.Handler = guard(e.Handler, slices.Concat(r.middleware, e.middleware))
	return found, true
}
