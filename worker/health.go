package worker

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
)

// Health tells how the worker is, as [ackbox.HealthChecker] says: not live once Run has
// ended, or when handlers that ignore their timeouts have all of its slots; not ready before
// Run is called, and while the ledger has not heard of it for 15 s, when others may take its
// jobs. Handlers that ignore their timeouts are told in Why in any case. Whether messages
// come is for the broker's Health to say. It asks nobody and returns at once.
func (w *Worker) Health(context.Context) ackbox.Health {
	h, runs := w.life.Health("worker")
	s := w.shift.Load()
	if !runs || s == nil {
		return h
	}
	var why []string
	switch silence, heard := s.heart.Silence(); {
	case !heard:
		h.Ready = false
		why = append(why, "the ledger has not heard of it yet: nothing is consumed until it has")
	case silence > core.Silence:
		h.Ready = false
		why = append(why, fmt.Sprintf("the ledger has not heard of it for %v", silence.Round(time.Second)))
	}
	overdue, all := s.hands.overdue(time.Now()), 0
	for _, q := range s.cfg.Queues {
		if n := overdue[q.Name]; n > 0 {
			all += n
			why = append(why, fmt.Sprintf("%d of the %d slots of queue %s are taken by handlers that ignore their timeouts", n, q.Concurrency, q.Name))
		}
	}
	if all >= s.slots() {
		h.Live, h.Ready = false, false
	}
	h.Why = strings.Join(why, "; ")
	return h
}

// overdue counts, by queue, the handlers that have not returned long after their timeout.
func (s *hands) overdue(now time.Time) map[string]int {
	counts := make(map[string]int)
	for _, h := range s.those(func(h *hand) bool { return h.isOverdue(now) }) {
		counts[h.Queue]++
	}
	return counts
}

var _ ackbox.HealthChecker = (*Worker)(nil)
