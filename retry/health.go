package retry

import (
	"context"
	"fmt"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
)

// Health tells how the sweeper is, as [ackbox.HealthChecker] says: not live once Run has
// ended; not ready before it is called, and while the ledger has not heard of it for 15 s,
// as a rule because the database is away. It asks nobody and returns at once.
func (s *Sweeper) Health(context.Context) ackbox.Health {
	h, runs := s.life.Health("sweeper")
	heart := s.heart.Load()
	if !runs || heart == nil {
		return h
	}
	switch silence, heard := heart.Silence(); {
	case !heard:
		h.Ready, h.Why = false, "the ledger has not heard of it yet"
	case silence > core.Silence:
		h.Ready, h.Why = false, fmt.Sprintf("the ledger has not heard of it for %v", silence.Round(time.Second))
	}
	return h
}

var _ ackbox.HealthChecker = (*Sweeper)(nil)
