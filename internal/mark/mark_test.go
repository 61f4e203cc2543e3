package mark_test

import (
	"context"
	"testing"
	"time"

	"github.com/ackbox/ackbox/internal/mark"
)

// A context without a mark remembers nothing, and does not mind being asked to.
func TestMark(t *testing.T) {
	t.Parallel()
	now := time.Now()
	mark.From(context.Background()).Set("a", now)
	if _, _, ok := mark.From(context.Background()).Get(); ok {
		t.Error("a context without a mark remembers one")
	}
	one := mark.With(t.Context())
	if _, _, ok := mark.From(one).Get(); ok {
		t.Error("a new mark is set")
	}
	mark.From(one).Set("a", now)
	if by, at, ok := mark.From(one).Get(); by != "a" || !at.Equal(now) || !ok {
		t.Errorf("got %v, %v, %v", by, at, ok)
	}
	if _, _, ok := mark.From(mark.With(one)).Get(); ok {
		t.Error("a new call of a handler has the mark of another")
	}
}
