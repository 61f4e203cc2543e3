package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// partitions measures a table with a partition per day: whether its claims cost
// more, and what it takes to drop a day of finished jobs while others flow.
func (s *scale) partitions(ctx context.Context) error {
	reference, err := s.reference(ctx, "partitions", "not partitioned")
	if err != nil {
		return err
	}
	err = s.within(ctx, func(ctx context.Context, env *Env, a *app) error {
		store, err := makePartitioned(ctx, env, a)
		if err != nil {
			return err
		}
		r := relaying{scale: s, step: "partitions", rows: referenceRows(s.options.rows)}
		if err := r.run(ctx, env, a, store, partitionedTable); err != nil {
			return err
		}
		return errors.Join(r.add("partitioned", r.pace(0, r.rows), reference), r.addMemory("partitioned"))
	})
	if err != nil {
		return err
	}
	return s.within(ctx, s.dropDay)
}

const partitionedTable = "partitioned_jobs"

// oldDay is how many days ago the day was that is dropped.
const oldDay = 2

// dropDay drops a partition of finished rows while jobs flow into another.
func (s *scale) dropDay(ctx context.Context, env *Env, a *app) error {
	store, err := makePartitioned(ctx, env, a)
	if err != nil {
		return err
	}
	f, err := newFiller(ctx, env, a, store, partitionedTable)
	if err != nil {
		return err
	}
	// An hour that is in one day.
	if err := s.fillDone(ctx, f, "partitions", midnight(-oldDay).Add(12*time.Hour)); err != nil {
		return err
	}
	return flowing(ctx, a, store, func(ctx context.Context, flow *flow) error {
		if err := s.calm(ctx, flow, "partitions", "before"); err != nil {
			return err
		}
		began := time.Now()
		tries, err := dropPartition(ctx, env, store)
		if err != nil {
			return err
		}
		took := time.Since(began)
		// Who has waited for it is over only after it.
		if !pause(ctx, dropEcho) {
			return context.Cause(ctx)
		}
		return errors.Join(
			s.report.add(measurement{step: "partitions", name: "drop", values: []value{
				{"rows", float64(s.options.rows)}, {"drop_ms", milliseconds(took)}, {"tries", float64(tries)},
			}}),
			s.flowed(flow, "partitions", fmt.Sprintf("from the drop until %v after it", dropEcho), began, time.Now()),
		)
	})
}

// dropEcho is how long after a drop its effects are looked for.
const dropEcho = 3 * time.Second

// today is the day, in UTC, on which this process was started: a run may last
// until the next one.
var today = time.Now().UTC().Truncate(24 * time.Hour)

// midnight is the first moment of a day, counted from today.
func midnight(day int) time.Time { return today.AddDate(0, 0, day) }
