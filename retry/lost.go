package retry

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ackbox/ackbox"
)

// suspicion is what earlier sweeps agree on about a queue. Times are the
// database's.
type suspicion struct {
	// bound: whatever was vouched for last before it had left the queue at
	// every look since the first, so that a worker has it, or nobody.
	bound time.Time
	// since is the first look.
	since time.Time
	// settled is the first look a quarter of StuckAfter later; zero before it.
	settled time.Time
}

// Resend sends jobs again that are lost between broker and worker, and returns
// how many. Run does it by schedule.
//
// A sent job is in its queue, in the hands of a worker, or lost. That it is not
// in its queue can be seen in two ways: no message is waiting in the queue, or
// jobs that were sent to it StuckAfter later have finished. That no worker has
// it is seen by waiting: live workers vouch for all they hold, so what had left
// its queue by some moment, and was not seen in it for a quarter of StuckAfter
// since, would have been vouched for by then. One sweep more gives those the
// time to be heard that came back and were taken again in between: a worker
// vouches at once for what was handed out before. And nobody must have vouched
// for the job for StuckAfter. So a job that merely waits in a long queue, or
// runs for long, is not sent again. One that is lost is found within about
// 1.5 × StuckAfter and a few sweeps. A sweep that cannot read the ledger forgets
// what earlier ones saw: workers could not be heard then either.
//
// The errors of all queues are joined; one queue's do not keep the others
// from being swept. Safe for concurrent use.
func (s *Sweeper) Resend(ctx context.Context) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	// The database's clock is read before the queues are looked at: what was
	// sent before it and is not waiting afterwards has left its queue.
	ages, err := s.store.Ages(ctx)
	if err != nil {
		// Nobody could vouch for anything while the ledger was away, so silence
		// until now says nothing: the waiting begins anew.
		clear(s.suspects)
		return 0, err
	}
	previous := s.suspects
	s.suspects = make(map[string]suspicion, len(ages)) // forgets queues without sent jobs
	total := 0
	var errs []error
	for _, age := range ages {
		n, err := s.resendQueue(ctx, age, previous[age.Queue])
		total += n
		if err != nil {
			errs = append(errs, fmt.Errorf("queue %s: %w", age.Queue, err))
		}
	}
	return total, errors.Join(errs...)
}

// resendQueue looks at one queue, and resends what every look of the current
// suspicion, this one included, takes for lost.
func (s *Sweeper) resendQueue(ctx context.Context, age ackbox.QueueAge, suspect suspicion) (int, error) {
	bound, err := s.look(ctx, age)
	switch {
	case err != nil:
		// Nothing was seen: that neither adds to the suspicion nor ends it.
		s.suspects[age.Queue] = suspect
		return 0, err
	case bound.IsZero():
		return 0, nil
	}
	fresh := suspicion{bound: bound, since: age.Now}
	if suspect.since.IsZero() {
		s.suspects[age.Queue] = fresh
		return 0, nil
	}
	// A job that came back to the queue in the meantime is waiting again: only
	// what all looks agree on counts.
	if bound.Before(suspect.bound) {
		suspect.bound = bound
	}
	switch {
	case suspect.settled.IsZero():
		if age.Now.Sub(suspect.since) >= s.cfg.StuckAfter/4 {
			suspect.settled = age.Now
		}
		s.suspects[age.Queue] = suspect
		return 0, nil
	case age.Now.Sub(suspect.settled) < s.cfg.StuckAfter/40:
		s.suspects[age.Queue] = suspect
		return 0, nil
	}
	s.suspects[age.Queue] = fresh
	return s.repeat(ctx, func(ctx context.Context) (int, error) {
		return s.store.Resend(ctx, age.Queue, suspect.bound, s.cfg.StuckAfter, s.cfg.Batch)
	})
}

// look says which jobs of a queue have left it: those that were vouched for
// last before the time it returns. A zero time says none.
func (s *Sweeper) look(ctx context.Context, age ackbox.QueueAge) (time.Time, error) {
	waiting, err := s.broker.Waiting(ctx, age.Queue)
	switch {
	case errors.Is(err, ackbox.ErrNoQueue):
		return age.Now, nil // deleted, with all that was in it
	case err != nil:
		return time.Time{}, err
	case waiting == 0:
		return age.Now, nil
	case age.Frontier.IsZero():
		return time.Time{}, nil
	}
	return age.Frontier.Add(-s.cfg.StuckAfter), nil
}
