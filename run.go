package ackbox

import (
	"context"

	"github.com/ackbox/ackbox/internal/mark"
)

// Run is what a handler's context says about the call it is in. outbox.Complete
// reads it to know which row to finish, and how.
type Run struct {
	// Job is the job being handled.
	Job Job
	// Cause is nil while Consume runs, and the error that used up the job's
	// tries while FailAction runs.
	Cause error
}

type runKey struct{}

// WithRun returns a context that carries r. Workers call it around every
// handler call; tests of a handler may, too.
func WithRun(ctx context.Context, r Run) context.Context {
	return context.WithValue(mark.With(ctx), runKey{}, r)
}

// RunFrom returns the Run that ctx carries, and whether it carries one.
func RunFrom(ctx context.Context) (Run, bool) {
	r, ok := ctx.Value(runKey{}).(Run)
	return r, ok
}
