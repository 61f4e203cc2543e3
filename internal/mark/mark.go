// Package mark lets a handler's context remember that its job was completed: root puts
// a [Mark] there for each call of a handler, outbox writes on it. Nobody else sees it.
package mark

import (
	"context"
	"sync"
	"time"
)

// Mark says by which transaction the job of one call of a handler was completed, and
// with which time on its row. It is safe for concurrent use, and so is a nil one, which
// remembers nothing.
type Mark struct {
	mu sync.Mutex
	by any
	at time.Time
}

type key struct{}

// With returns a context that carries a new Mark.
func With(ctx context.Context) context.Context {
	return context.WithValue(ctx, key{}, &Mark{})
}

// From returns the Mark that ctx carries, or nil.
func From(ctx context.Context) *Mark {
	m, _ := ctx.Value(key{}).(*Mark)
	return m
}

// Set notes a completion. by is comparable.
func (m *Mark) Set(by any, at time.Time) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.by, m.at = by, at
}

// Get returns the latest completion, and whether there was one.
func (m *Mark) Get() (by any, at time.Time, ok bool) {
	if m == nil {
		return nil, time.Time{}, false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.by, m.at, !m.at.IsZero()
}
