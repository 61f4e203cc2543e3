package handler

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/name"
	"github.com/ackbox/ackbox/internal/registry"
)

// Registry holds the handlers of an application by kind. Register everything while
// the application starts, then give the Registry to worker.New. The zero Registry is
// empty and ready. Safe for concurrent use.
type Registry struct {
	mu         sync.RWMutex
	kinds      map[string]*registration
	middleware []Middleware
	decoders   map[string]Decoder
	errs       []error
}

// NewRegistry returns an empty Registry.
func NewRegistry() *Registry {
	return &Registry{}
}

// Handle adds h as the handler of kind. A mistake (a nil handler, a bad or
// duplicate kind, a bad option, a FailAction with other parameters) is kept and
// reported by [Registry.Err], and so by worker.New.
func (r *Registry) Handle(kind string, h Handler, opts ...Option) {
	if isNil(h) {
		r.fail(fmt.Errorf("handler: register %.100q: the handler is nil", kind))
		return
	}
	r.add(kind, opts, func(e *registration) (err error) {
		switch {
		case e.option != nil:
			return errors.New("WithFailAction is for typed handlers: want a method FailAction")
		case e.strict || len(e.decoders) > 0:
			return errors.New("Strict and WithDecoder are for typed handlers: this one decodes its payload itself")
		}
		e.consume = h.Consume
		e.failAction, err = methodFailAction[func(context.Context, ackbox.Job, error) error](h)
		return err
	})
}

// Use wraps every call of every handler, those registered before included.
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

// Err returns every mistake made in registering, joined, or nil.
func (r *Registry) Err() error {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return errors.Join(r.errs...)
}

// Kinds returns the registered kinds, sorted: for a test, say, that every kind that
// the application enqueues has a handler.
func (r *Registry) Kinds() []string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	kinds := make([]string, 0, len(r.kinds))
	for kind := range r.kinds {
		kinds = append(kinds, kind)
	}
	slices.Sort(kinds)
	return kinds
}

// add registers what build makes of a registration with opts.
func (r *Registry) add(kind string, opts []Option, build func(*registration) error) {
	if err := name.Check("kind", kind); err != nil {
		r.fail(fmt.Errorf("handler: register a handler: %w", err))
		return
	}
	e := &registration{registry: r}
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
	if err := build(e); err != nil {
		r.fail(fmt.Errorf("handler: register %s: %w", kind, err))
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, taken := r.kinds[kind]; taken {
		r.errs = append(r.errs, fmt.Errorf("handler: register %s: the kind has a handler already", kind))
		return
	}
	if r.kinds == nil {
		r.kinds = make(map[string]*registration)
	}
	r.kinds[kind] = e
}

func (r *Registry) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.errs = append(r.errs, err)
}

// lookup is what a worker sees of a Registry.
func (r *Registry) lookup(kind string) (registry.Entry, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	e, ok := r.kinds[kind]
	if !ok {
		return registry.Entry{}, false
	}
	return registry.Entry{
		Kind:    kind,
		Handler: guard(e, slices.Concat(r.middleware, e.middleware)),
		Timeout: e.timeout,
		Backoff: e.backoff,
	}, true
}

func init() {
	registry.Lookup = func(reg any, kind string) (registry.Entry, bool) {
		r, ok := reg.(*Registry)
		if !ok {
			return registry.Entry{}, false
		}
		return r.lookup(kind)
	}
}
