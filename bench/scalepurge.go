package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/outbox"
	"github.com/ackbox/ackbox/retry"
)

// finishedAgo is how long ago an hour of finished jobs began: longer than
// keepFinished, which a flow's own jobs never reach.
const (
	finishedAgo  = 25 * time.Hour
	keepFinished = 20 * time.Hour
)

// purge measures how fast finished rows are deleted, and what jobs that flow
// meanwhile notice of it. Half of them go in batches of the default size, half
// in the largest.
func (s *scale) purge(ctx context.Context) error {
	return s.within(ctx, func(ctx context.Context, env *Env, a *app) error {
		f, err := newFiller(ctx, env, a, a.store, outbox.DefaultTable)
		if err != nil {
			return err
		}
		if err := s.fillDone(ctx, f, "purge", time.Now().Add(-finishedAgo)); err != nil {
			return err
		}
		return flowing(ctx, a, a.store, func(ctx context.Context, flow *flow) error {
			if err := s.calm(ctx, flow, "purge", "before"); err != nil {
				return err
			}
			half := s.options.rows / 2 / retry.DefaultBatch * retry.DefaultBatch
			if err := s.purgeHalf(ctx, flow, retry.DefaultBatch, half); err != nil {
				return err
			}
			return s.purgeHalf(ctx, flow, outbox.MaxBatch, s.options.rows-half)
		})
	})
}

// fillDone writes -rows finished jobs of the hour from from on, vacuumed and
// analysed.
func (s *scale) fillDone(ctx context.Context, f *filler, step string, from time.Time) error {
	began := time.Now()
	if err := f.fill(ctx, s.options.rows, from, doneColumns, s.say); err != nil {
		return err
	}
	if err := s.filled(ctx, f, step, fmt.Sprintf("%d done", s.options.rows), time.Since(began)); err != nil {
		return err
	}
	return f.env.settle(ctx)
}

// purged is what a number of batches did.
type purged struct {
	rows    int
	took    time.Duration
	batches []float64 // ms each
	failed  int
}

func (p purged) values() []value {
	return []value{
		{"rows", float64(p.rows)},
		{"seconds", p.took.Seconds()},
		{"rows_per_s", float64(p.rows) / p.took.Seconds()},
		{"batch_p50_ms", percentile(p.batches, 50)},
		{"batch_p99_ms", percentile(p.batches, 99)},
		{"batch_max_ms", percentile(p.batches, 100)},
		{"failed", float64(p.failed)},
	}
}

// maxFailures is how many batches in a row may fail.
const maxFailures = 10

// purgeHalf deletes rows as the sweeper does, batch after batch.
func (s *scale) purgeHalf(ctx context.Context, flow *flow, size, rows int) error {
	var p purged
	began, said, inRow := time.Now(), time.Now(), 0
	for p.rows < rows {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		batch := time.Now()
		n, err := flow.store.Purge(ctx, ackbox.DefaultQueue, keepFinished, size)
		p.batches = append(p.batches, milliseconds(time.Since(batch)))
		p.rows += n
		if err == nil && n == 0 {
			return fmt.Errorf("purge: only %d of %d rows were there", p.rows, rows)
		}
		inRow++
		if err == nil {
			inRow = 0
		} else if p.failed++; inRow >= maxFailures {
			return fmt.Errorf("purge: %d batches in a row failed: %w", inRow, err)
		}
		if time.Since(said) > time.Minute {
			said = time.Now()
			s.say("%d of %d rows are purged, %d at a time", p.rows, rows, size)
		}
	}
	now := time.Now()
	p.took = now.Sub(began)
	name := fmt.Sprintf("batches of %d", size)
	return errors.Join(
		s.report.add(measurement{step: "purge", name: name, values: p.values()}),
		s.flowed(flow, "purge", name, began, now),
	)
}
