package worker

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/ackbox/ackbox/internal/core"
)

// detail is what people are shown of this worker.
func (s *shift) detail(context.Context) core.Detail {
	d := s.hands.detail(time.Now())
	d.Slots = s.slots()
	return d
}

// slots are how many handlers may run at once.
func (s *shift) slots() (n int) {
	for _, q := range s.cfg.Queues {
		n += q.Concurrency
	}
	return n
}

// detail tells what is in hand, and what runs of it.
func (s *hands) detail(now time.Time) core.Detail {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := core.Detail{InHand: len(s.all)}
	for h := range s.all {
		if h.overdue.IsZero() {
			continue
		}
		late := h.isOverdue(now)
		if late {
			d.Overdue++
		}
		d.Running = append(d.Running, core.Running{ID: h.ID, Kind: h.Kind, Queue: h.Queue, Key: h.Key, For: now.Sub(h.begun), Overdue: late})
	}
	slices.SortFunc(d.Running, func(a, b core.Running) int { return cmp.Compare(b.For, a.For) })
	d.Running = d.Running[:min(len(d.Running), core.MaxRunning)]
	return d
}
