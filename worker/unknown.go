package worker

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// unknownKind puts off a delivery that only another version of the application
// can handle. No try is charged.
func (r *run) unknownKind(work context.Context, h *inHand) {
	r.count.unknownKind.Add(1)
	if h.Kind == "" {
		err := errors.New("the message names no kind (AMQP property type), so no handler can be found for it")
		r.dead(work, h, err.Error(), err)
		return
	}
	if r.unknown.add(h.Kind) {
		r.cfg.Logger.WarnContext(work, "worker: no handler is registered for this kind; its jobs wait for a worker that has one",
			"kind", h.Kind, "id", h.ID, "queue", h.Queue, "known_kinds", len(r.entries))
	}
	r.again(work, h, r.cfg.UnknownKindDelay, false, fmt.Sprintf("no handler for kind %q in the worker that got it: waiting for one that knows it", h.Kind))
}

// kinds is a set of kinds. It stays small: strangers choose what is in it. The
// zero value is empty. Safe for concurrent use.
type kinds struct {
	mu   sync.Mutex
	seen map[string]bool
}

const maxKinds = 100

// add reports whether kind is new. A full set has nothing new.
func (k *kinds) add(kind string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.seen[kind] || len(k.seen) == maxKinds {
		return false
	}
	if k.seen == nil {
		k.seen = make(map[string]bool)
	}
	k.seen[kind] = true
	return true
}
