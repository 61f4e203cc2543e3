package retry_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ackbox/ackbox/retry"
)

// Operations are carried on until none runs; a step that fails is tried again by the next
// call.
func TestCarryOn(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	steps := []struct {
		n    int
		more bool
		err  error
	}{{500, true, nil}, {0, true, nil}, {3, true, nil}, {0, true, broken}, {7, true, nil}, {0, false, nil}}
	next := 0
	s := &store{carryOn: func(int) (int, bool, error) { step := steps[next]; next++; return step.n, step.more, step.err }}
	sweeper := newSweeper(t, s, waiting(nothingWaits), retry.Config{})
	if n, err := sweeper.CarryOn(t.Context()); n != 503 || !errors.Is(err, broken) {
		t.Errorf("carried %d on, %v: want 503 and the failure", n, err)
	}
	if n, err := sweeper.CarryOn(t.Context()); n != 7 || err != nil || next != len(steps) {
		t.Errorf("carried %d on in %d steps, %v: want 7 in all", n, next, err)
	}
}

// An operation that takes long ends with Run, after the step that has begun.
func TestCarryOnEndsWithRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		steps := 0
		s := &store{carryOn: func(int) (int, bool, error) { steps++; time.Sleep(time.Second); return 1, true, nil }}
		sweeper := newSweeper(t, s, waiting(nothingWaits), retry.Config{})
		ctx, stop := context.WithTimeout(t.Context(), time.Minute+time.Second/2)
		defer stop()
		if err := sweeper.Run(ctx); err != nil {
			t.Error(err)
		}
		// It begins at 3 s; the last step, which began at 60 s, is finished.
		if steps != 58 {
			t.Errorf("%d steps were done, want 58", steps)
		}
	})
}
