package worker

import (
	"context"
	"log/slog"
	"time"
)

// watch reports handlers that ignore their timeout, and what else is told once a
// while, until ctx ends.
func (s *shift) watch(ctx context.Context) {
	look := time.NewTicker(time.Second)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			s.tries.leftOut(ctx, s.cfg.Logger, true)
			return
		case <-look.C:
			s.reportOverdue(ctx)
			s.tries.leftOut(ctx, s.cfg.Logger, false)
		}
	}
}

func (s *shift) reportOverdue(ctx context.Context) {
	now := time.Now()
	fresh := s.hands.those(func(h *hand) bool {
		if !h.isOverdue(now) || h.reported {
			return false
		}
		h.reported = true
		return true
	})
	for _, h := range fresh {
		s.cfg.Logger.LogAttrs(ctx, slog.LevelError, "worker: a handler ignores its timeout and keeps its slot",
			append(h.attrs(), slog.Duration("timeout", s.entries[h.Kind].Timeout))...)
	}
}
