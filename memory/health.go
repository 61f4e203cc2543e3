package memory

import (
	"context"
	"errors"

	"github.com/ackbox/ackbox"
)

// Health tells how the broker is, as [ackbox.HealthChecker] says: not live once it was
// closed, not ready while it is away. It returns at once. Safe for concurrent use.
func (b *Broker) Health(context.Context) ackbox.Health {
	b.mu.Lock()
	defer b.mu.Unlock()
	err := b.unusable()
	h := ackbox.Health{Part: "memory", Live: err == nil || errors.Is(err, errAway), Ready: err == nil}
	if err != nil {
		h.Why = err.Error()
	}
	return h
}

var _ ackbox.HealthChecker = (*Broker)(nil)
