package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ackbox/ackbox"
)

// healthTimeout bounds [Broker.Health].
const healthTimeout = time.Second

// Health tells how the broker is, as [ackbox.HealthChecker] says: not live once it was
// closed; not ready while [Broker.Ready] does not return within a second. Queues for which
// nothing can be published are told in Why. It connects if need be, as Ready does. Safe for
// concurrent use.
func (b *Broker) Health(ctx context.Context) ackbox.Health {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	h := ackbox.Health{Part: "rabbitmq", Live: true}
	switch err := b.Ready(ctx); {
	case errors.Is(err, ackbox.ErrClosed):
		h.Live, h.Why = false, "it was closed"
		return h
	case err != nil:
		h.Why = fmt.Sprintf("%s: %v", b.display, err)
		return h
	}
	h.Ready = true
	if queues := b.Unavailable(); len(queues) > 0 {
		slices.Sort(queues)
		h.Why = fmt.Sprintf("%s: nothing can be published for %s", b.display, strings.Join(slices.Compact(queues), ", "))
	}
	return h
}

var _ ackbox.HealthChecker = (*Broker)(nil)
