package command

import (
	"context"
	"errors"
	"fmt"

	"github.com/ackbox/ackbox/outbox"
)

// What a command's exit says, see the documentation of command ackbox.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitUnwell      = 3
	exitNothing     = 4
	exitInterrupted = 130
)

// errUnwell is the outcome of a command that has found something, and has printed it.
var errUnwell = errors.New("something is not well")

// errNothing is the outcome of a command that has found nothing to act on.
var errNothing = errors.New("nothing matches: nothing was changed")

// usageError says that the command is wrong.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// Unwrap returns what is wrong.
func (e usageError) Unwrap() error { return e.error }

// exitCode is what err means to whoever has called.
func exitCode(ctx context.Context, err error) int {
	var usage usageError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &usage):
		return exitUsage
	case errors.Is(err, errUnwell):
		return exitUnwell
	case errors.Is(err, errNothing), errors.Is(err, outbox.ErrNotFound):
		return exitNothing
	case ctx.Err() != nil:
		return exitInterrupted
	}
	return exitFailed
}
