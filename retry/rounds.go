package retry

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// slice is for how long a sweep repeats its statements before it looks again at
// what there is to do: a queue that has only just got something waits no longer
// than that for one that has millions.
const slice = 5 * time.Second

// maxFailures is after how many statements in a row that fail a sweep takes the
// ledger for away, and leaves the other queues to the next one.
const maxFailures = 5

// turn is what a sweep does for one queue: a bounded statement, which is repeated
// while it comes back full.
type turn struct {
	of        string // as errors say it
	statement func(context.Context) (int, error)
}

// sweep does what plan lists, and lists again and goes on while more remains, in
// slices of time. What keeps one queue from being planned or swept keeps no other
// from it.
func (s *Sweeper) sweep(ctx context.Context, name string, plan func(context.Context) ([]turn, error)) (int, error) {
	total := 0
	for {
		if ctx.Err() != nil {
			return total, nil //nolint:nilerr // told to stop, not failed
		}
		turns, err := plan(ctx)
		n, remain, roundsErr := s.rounds(ctx, turns)
		total += n
		err = errors.Join(err, roundsErr)
		if remain == 0 || n == 0 {
			return total, err
		}
		if ctx.Err() != nil {
			return total, err
		}
		s.cfg.Logger.InfoContext(ctx, "retry: more remains, the sweep goes on", "sweep", name, "jobs", total, "queues", remain)
		if err != nil {
			s.cfg.Logger.ErrorContext(ctx, "retry: a part of a sweep failed; it is tried again as the sweep goes on", "sweep", name, "error", err)
		}
	}
}

// rounds gives each turn one statement in each round, as long as it comes back
// full, until the slice is over. It returns the number of rows, and of turns that
// have more to do. A round is not left before its end, so that each has had its
// turn.
func (s *Sweeper) rounds(ctx context.Context, turns []turn) (total, remain int, err error) {
	var errs []error
	failed := 0
	turns = fromAnywhere(turns)
	for began := time.Now(); len(turns) > 0 && time.Since(began) < slice; {
		full := turns[:0]
		for _, t := range turns {
			if ctx.Err() != nil {
				return total, len(turns), errors.Join(errs...)
			}
			// A statement that has begun is let finish: the store bounds it.
			n, err := t.statement(context.WithoutCancel(ctx))
			total += n
			switch {
			case err == nil && n >= s.cfg.Batch:
				full = append(full, t)
				failed = 0
			case err == nil:
				failed = 0
			default:
				errs = append(errs, fmt.Errorf("%s: %w", t.of, err))
				if failed++; failed == maxFailures {
					return total, 0, errors.Join(errs...)
				}
			}
		}
		turns = full
	}
	return total, len(turns), errors.Join(errs...)
}

// fromAnywhere returns turns in their order from any of them: where a sweep ends
// early it is not always the same who have to wait.
func fromAnywhere(turns []turn) []turn {
	if len(turns) == 0 {
		return nil
	}
	first := rand.IntN(len(turns)) //nolint:gosec // no secret
	return append(append(make([]turn, 0, len(turns)), turns[first:]...), turns[:first]...)
}

// ofQueues makes a turn for each queue that list returns.
func ofQueues(list func(context.Context) ([]string, error), statement func(context.Context, string) (int, error)) func(context.Context) ([]turn, error) {
	return func(ctx context.Context) ([]turn, error) {
		queues, err := list(ctx)
		turns := make([]turn, len(queues))
		for i, queue := range queues {
			turns[i] = turn{nameOf(queue), func(ctx context.Context) (int, error) { return statement(ctx, queue) }}
		}
		return turns, err
	}
}

// nameOf names a queue in an error.
func nameOf(queue string) string {
	if queue == "" {
		return "publish-only messages"
	}
	return "queue " + queue
}
