package retry

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ackbox/ackbox"
)

// suspicion is what an earlier sweep saw of a queue.
type suspicion struct {
	// since is when it was first seen, by the database's clock.
	since time.Time
	// bound: whatever was vouched for last before it had left the queue by
	// then, so that a worker must have it, or nobody.
	bound time.Time
}

// Resend sends jobs again that are lost between broker and worker, and returns
// how many. Run does it by schedule.
//
// A sent job is in its queue, in the hands of a worker, or lost. That it is not
// in its queue can be seen in two ways: no message is waiting in the queue, or
// jobs that were sent to it StuckAfter later have finished. That no worker has
// it is seen by waiting: live workers vouch for all they hold, so a job that
// had left its queue by some moment and that nobody has vouched for since, over
// a quarter of StuckAfter, is held by none. Both must be true, and nobody must
// have vouched for the job for StuckAfter; so a job that merely waits in a long
// queue, or runs for long, is never sent again. A lost job is found within
// about 1.5 × StuckAfter.
func (s *Sweeper) Resend(ctx context.Context) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	// The database's clock is read before the queues are looked at: what was
	// sent before it and is not waiting afterwards has left its queue.
	ages, err := s.store.Ages(ctx)
	if err != nil {
		return 0, err
	}
	previous := s.suspects
	s.suspects = make(map[string]suspicion, len(ages)) // forgets queues without sent jobs
	total := 0
	var errs []error
	for _, age := range ages {
		n, err := s.resendQueue(ctx, age, previous)
		total += n
		if err != nil {
			errs = append(errs, fmt.Errorf("queue %s: %w", age.Queue, err))
		}
	}
	return total, errors.Join(errs...)
}

func (s *Sweeper) resendQueue(ctx context.Context, age ackbox.QueueAge, previous map[string]suspicion) (int, error) {
	now, err := s.look(ctx, age)
	if err != nil || now.bound.IsZero() {
		return 0, err
	}
	before, seen := previous[age.Queue]
	if !seen {
		s.suspects[age.Queue] = now
		return 0, nil
	}
	// A job that came back to the queue in the meantime is waiting again, so
	// only what both looks agree on counts.
	if now.bound.Before(before.bound) {
		before.bound = now.bound
	}
	if age.Now.Sub(before.since) < s.cfg.StuckAfter/4 {
		s.suspects[age.Queue] = before
		return 0, nil
	}
	s.suspects[age.Queue] = now
	return s.repeat(ctx, func(ctx context.Context) (int, error) {
		return s.store.Resend(ctx, age.Queue, before.bound, s.cfg.StuckAfter, s.cfg.Batch)
	})
}

// look says which jobs of a queue have left it; a zero bound says none.
func (s *Sweeper) look(ctx context.Context, age ackbox.QueueAge) (suspicion, error) {
	waiting, err := s.broker.Waiting(ctx, age.Queue)
	switch {
	case errors.Is(err, ackbox.ErrNoQueue):
		waiting = 0 // deleted, with all that was in it
	case err != nil:
		return suspicion{}, err
	}
	if waiting == 0 {
		return suspicion{since: age.Now, bound: age.Now}, nil
	}
	if age.Frontier.IsZero() {
		return suspicion{}, nil
	}
	return suspicion{since: age.Now, bound: age.Frontier.Add(-s.cfg.StuckAfter)}, nil
}
