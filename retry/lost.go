package retry

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ackbox/ackbox/internal/core"
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
	// lost is the bound of what was found to be lost at that time and is not
	// all sent again yet. What is lost stays so, whatever is seen later.
	lost, found time.Time
	// silent: the queue has not answered the latest look, which was said.
	silent bool
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
// Of a queue with more than one statement's worth each of the others has its turn
// in between, and all are looked at again every 5 s until none is left or ctx ends.
// What is known to be lost is not judged anew for that.
//
// The errors of all queues are joined; one queue's do not keep the others
// from being swept. Safe for concurrent use.
func (s *Sweeper) Resend(ctx context.Context) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sweep(ctx, "resend", s.findLost)
}

// findLost looks at every queue, and returns a turn for each with lost jobs.
func (s *Sweeper) findLost(ctx context.Context) ([]turn, error) {
	// The database's clock is read before the queues are looked at: what was
	// sent before it and is not waiting afterwards has left its queue.
	ages, err := s.store.Ages(ctx)
	if err != nil {
		s.beginAnew()
		return nil, err
	}
	previous := s.suspects
	s.suspects = make(map[string]suspicion, len(ages)) // forgets queues without sent jobs
	var turns []turn
	var errs []error
	for _, age := range ages {
		suspect, err := s.suspect(ctx, age, previous[age.Queue])
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", nameOf(age.Queue), err))
		}
		if suspect != (suspicion{}) {
			s.suspects[age.Queue] = suspect
		}
		if !suspect.lost.IsZero() {
			turns = append(turns, s.resend(age, suspect))
		}
	}
	return turns, errors.Join(errs...)
}

// beginAnew forgets what sweeps have seen so far. Nobody could vouch for anything
// while the ledger was away, so silence until now says nothing.
func (s *Sweeper) beginAnew() {
	for queue, suspect := range s.suspects {
		if suspect.lost.IsZero() {
			delete(s.suspects, queue)
			continue
		}
		s.suspects[queue] = suspicion{lost: suspect.lost, found: suspect.found}
	}
}

// suspect looks at one queue and returns what is known about it then. Lost is
// what every look of the suspicion, this one included, agrees on.
func (s *Sweeper) suspect(ctx context.Context, age core.QueueAge, suspect suspicion) (suspicion, error) {
	bound, err := s.look(ctx, age)
	silent := errors.Is(err, core.ErrUnsure)
	if silent && !suspect.silent {
		s.cfg.Logger.WarnContext(ctx, "retry: a queue does not answer, so none of its jobs is taken for lost", "queue", age.Queue, "error", err)
	}
	suspect.silent = silent
	switch {
	case silent:
		return suspect, nil
	case err != nil:
		// Nothing was seen: that neither adds to the suspicion nor ends it.
		return suspect, err
	case bound.IsZero():
		return suspicion{lost: suspect.lost, found: suspect.found}, nil
	}
	fresh := suspicion{bound: bound, since: age.Now, lost: suspect.lost, found: suspect.found}
	if suspect.since.IsZero() {
		return fresh, nil
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
		return suspect, nil
	case age.Now.Sub(suspect.settled) < s.cfg.StuckAfter/40:
		return suspect, nil
	}
	fresh.lost, fresh.found = suspect.bound, age.Now
	return fresh, nil
}

// resend is the turn of a queue whose lost jobs are known. For how long nobody
// vouched for them counts from when that was found: silence since then may be an
// outage of the ledger's.
func (s *Sweeper) resend(age core.QueueAge, suspect suspicion) turn {
	idle := s.cfg.StuckAfter + age.Now.Sub(suspect.found)
	return turn{nameOf(age.Queue), func(ctx context.Context) (int, error) {
		n, err := s.store.Resend(ctx, age.Queue, suspect.lost, idle, s.cfg.Batch)
		if err == nil && n < s.cfg.Batch {
			left := s.suspects[age.Queue]
			left.lost, left.found = time.Time{}, time.Time{}
			s.suspects[age.Queue] = left
		}
		return n, err
	}}
}

// look says which jobs of a queue have left it: those that were vouched for
// last before the time it returns. A zero time says none.
func (s *Sweeper) look(ctx context.Context, age core.QueueAge) (time.Time, error) {
	waiting, err := s.broker.Waiting(ctx, age.Queue)
	switch {
	case errors.Is(err, core.ErrNoQueue):
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
