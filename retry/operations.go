package retry

import (
	"context"
	"fmt"
	"time"
)

// operationsSpec is when operations are looked for: somebody waits for them.
const operationsSpec = "@every 3s"

// CarryOn carries the operations on that people have begun (outbox.Store.StartOperation),
// step by step, and returns how many jobs it changed. It goes on until none runs, ctx ends
// or a step fails; then the next call tries that again. Several instances share the
// operations between them, and none has to live until one is done. Run does it every 3 s.
func (s *Sweeper) CarryOn(ctx context.Context) (int, error) {
	total := 0
	for told := time.Now(); ctx.Err() == nil; {
		// A step that has begun is let finish: the store bounds it.
		n, more, err := s.store.CarryOn(context.WithoutCancel(ctx), s.cfg.Batch)
		total += n
		if err != nil {
			return total, fmt.Errorf("retry: carry an operation on: %w", err)
		}
		if !more {
			break
		}
		if time.Since(told) >= slice {
			told = time.Now()
			s.cfg.Logger.InfoContext(ctx, "retry: an operation goes on", "jobs", total)
		}
	}
	return total, nil
}
