package dispatcher

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ackbox/ackbox"
)

const (
	// brokerPatience is how long the broker may be waited for before that is told.
	brokerPatience = time.Second
	// reasonPatience is how long it is asked for the reason.
	reasonPatience = 100 * time.Millisecond
)

// Health tells how the dispatcher is, as [ackbox.HealthChecker] says: not live once Run
// has ended; not ready before it is called, while the broker takes nothing, and while
// batches fail. Queues that refuse what comes are told in Why.
func (d *Dispatcher) Health(ctx context.Context) ackbox.Health {
	h, runs := d.life.Health("dispatcher")
	if !runs {
		return h
	}
	if h.Why = d.ailment(ctx); h.Why != "" {
		h.Ready = false
		return h
	}
	if queues := d.refusing.paused(); len(queues) > 0 {
		slices.Sort(queues)
		h.Why = "the broker refuses what is published to " + strings.Join(queues, ", ")
	}
	return h
}

// ailment says why nothing can be carried at present; empty if nothing is known.
func (d *Dispatcher) ailment(ctx context.Context) string {
	if waits := d.trouble.waits(); waits > brokerPatience {
		ctx, cancel := context.WithTimeout(ctx, reasonPatience)
		defer cancel()
		if err := d.broker.Ready(ctx); err != nil {
			return fmt.Sprintf("the broker takes nothing for %v: %v", waits.Round(time.Second), err)
		}
	}
	if err := d.trouble.present(); err != nil {
		return fmt.Sprintf("batches fail: %v", err)
	}
	return ""
}

var _ ackbox.HealthChecker = (*Dispatcher)(nil)
