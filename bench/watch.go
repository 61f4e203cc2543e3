package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// watch notes when jobs were committed and when their handlers started. Jobs
// are numbered from 1; 0 is one that is not measured.
type watch struct {
	commits, starts []atomic.Int64 // Unix nanoseconds, by number
	seen            atomic.Int64   // how many have started, job 0 included
}

func newWatch(n int) *watch {
	return &watch{commits: make([]atomic.Int64, n+1), starts: make([]atomic.Int64, n+1)}
}

// began notes that a job's handler has started. Of several starts the first
// one counts.
func (w *watch) began(number int64, at time.Time) {
	if number < 0 || number >= int64(len(w.starts)) || !w.starts[number].CompareAndSwap(0, at.UnixNano()) {
		return
	}
	w.seen.Add(1)
}

// stragglers is how long after the last commit a job may take to start.
const stragglers = 30 * time.Second

// pace commits n jobs, rate per second whatever became of those before, and
// waits until all have started.
func (w *watch) pace(s *setup, n, rate int) error {
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	commits, ctx := errgroup.WithContext(ctx)
	commits.SetLimit(writers)
	tick := time.NewTicker(time.Second / time.Duration(rate))
	defer tick.Stop()
	for number := 1; number <= n; number++ {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return commits.Wait()
		}
		commits.Go(func() error {
			if err := s.commit(ctx, newOrder(int64(number))); err != nil {
				return fmt.Errorf("commit a job: %w", err)
			}
			w.commits[number].Store(time.Now().UnixNano())
			return nil
		})
	}
	if err := commits.Wait(); err != nil {
		return err
	}
	late, cancelLate := context.WithTimeout(s.ctx, stragglers)
	defer cancelLate()
	if err := await(late, func() (bool, error) { return w.seen.Load() >= int64(n)+1, nil }); err != nil {
		return fmt.Errorf("%d of %d jobs have started: %w", w.seen.Load()-1, n, err)
	}
	return nil
}

// figures are the percentiles, in milliseconds. A handler that started before
// the commit's answer was here counts as 0.
func (w *watch) figures() figures {
	var ms []float64
	for number := 1; number < len(w.starts); number++ {
		d := time.Duration(w.starts[number].Load() - w.commits[number].Load())
		ms = append(ms, max(0, float64(d)/float64(time.Millisecond)))
	}
	return figures{"p50": percentile(ms, 50), "p95": percentile(ms, 95), "p99": percentile(ms, 99)}
}
