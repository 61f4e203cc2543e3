package retry

import (
	"errors"
	"time"
)

// Permanent wraps err to say that trying again cannot help: the job goes
// straight to FailAction. Permanent(nil) is nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &chosen{err: err, course: GiveUp}
}

// After wraps err to choose how long the job waits before its next try,
// instead of its backoff policy; the try counts. A negative d counts as 0.
// After(nil, d) is nil.
func After(err error, d time.Duration) error {
	if err == nil {
		return nil
	}
	return &chosen{err: err, course: Again, wait: max(0, d)}
}

// Snooze returns an error that puts the job off for d without using up a try:
// nothing failed, it is only too early. A negative d counts as 0.
func Snooze(d time.Duration) error {
	return &chosen{err: errSnoozed, course: Later, wait: max(0, d)}
}

var errSnoozed = errors.New("snoozed")

// chosen is an error whose sender chose the job's course.
type chosen struct {
	err    error
	course Course
	wait   time.Duration
}

// Error implements error.
func (c *chosen) Error() string { return c.err.Error() }

// Unwrap returns the wrapped error.
func (c *chosen) Unwrap() error { return c.err }

// Course is what an error asks for.
type Course int

const (
	// ByPolicy asks for nothing: the job's backoff policy decides.
	ByPolicy Course = iota
	// Again asks for another try after a chosen wait.
	Again
	// Later asks for the same try after a chosen wait.
	Later
	// GiveUp asks for no further try.
	GiveUp
)

// CourseOf reports what err asks for, and the wait it chose. The outermost of
// several wrappers counts; of joined errors, the first that has one. nil asks
// for nothing.
func CourseOf(err error) (Course, time.Duration) {
	var c *chosen
	if errors.As(err, &c) {
		return c.course, c.wait
	}
	return ByPolicy, 0
}
