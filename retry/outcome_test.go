package retry_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/ackbox/ackbox/retry"
)

var errBase = errors.New("base")

func TestCourseOf(t *testing.T) {
	t.Parallel()
	wrap := func(err error) error { return fmt.Errorf("context: %w", err) }
	tests := map[string]struct {
		err    error
		course retry.Course
		wait   time.Duration
	}{
		"nil":                  {nil, retry.ByPolicy, 0},
		"plain":                {errBase, retry.ByPolicy, 0},
		"permanent":            {retry.Permanent(errBase), retry.GiveUp, 0},
		"after":                {retry.After(errBase, time.Minute), retry.Again, time.Minute},
		"after the past":       {retry.After(errBase, -time.Minute), retry.Again, 0},
		"snooze":               {retry.Snooze(time.Minute), retry.Later, time.Minute},
		"snooze into the past": {retry.Snooze(-1), retry.Later, 0},
		"wrapped":              {wrap(wrap(retry.Snooze(time.Minute))), retry.Later, time.Minute},
		"outermost":            {retry.Permanent(wrap(retry.After(errBase, 1))), retry.GiveUp, 0},
		"outermost again":      {retry.After(retry.Permanent(errBase), 1), retry.Again, 1},
		"joined":               {errors.Join(errBase, retry.After(errBase, 2), retry.Permanent(errBase)), retry.Again, 2},
	}
	for name, tt := range tests {
		if course, wait := retry.CourseOf(tt.err); course != tt.course || wait != tt.wait {
			t.Errorf("%s: course %d after %v, want %d after %v", name, course, wait, tt.course, tt.wait)
		}
	}
}

func TestCourseKeepsTheError(t *testing.T) {
	t.Parallel()
	for _, err := range []error{retry.Permanent(errBase), retry.After(errBase, 1)} {
		if !errors.Is(err, errBase) || err.Error() != "base" {
			t.Errorf("got %v, want the error it wraps to be seen", err)
		}
	}
	if retry.Permanent(nil) != nil || retry.After(nil, 1) != nil {
		t.Error("nil does not stay nil")
	}
	if retry.Snooze(0) == nil {
		t.Error("Snooze(0) is nil, which would complete the job")
	}
}
