package main

import (
	"context"
	"errors"

	"golang.org/x/sync/errgroup"
)

// loops are Run functions that run for a measurement.
type loops struct {
	// ctx ends when one of them fails.
	ctx   context.Context //nolint:containedctx // it is the group's, for those who wait for what the loops do
	stop  context.CancelFunc
	group *errgroup.Group
}

// start starts loops. They must be ended.
func start(ctx context.Context, runs ...func(context.Context) error) *loops {
	ctx, stop := context.WithCancel(ctx)
	group, ctx := errgroup.WithContext(ctx)
	for _, run := range runs {
		group.Go(func() error { return run(ctx) })
	}
	return &loops{ctx: ctx, stop: stop, group: group}
}

// end tells the loops to stop, waits for them, and returns what is the matter:
// their own failure, or else err.
func (l *loops) end(err error) error {
	l.stop()
	if failed := l.group.Wait(); failed != nil {
		return errors.Join(failed, err)
	}
	return err
}
