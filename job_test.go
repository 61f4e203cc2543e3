package ackbox_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/ackbox/ackbox"
)

func TestStates(t *testing.T) {
	t.Parallel()
	final := []ackbox.State{ackbox.Done, ackbox.Dead, ackbox.Cancelled}
	states := ackbox.States()
	if len(states) != 7 {
		t.Errorf("%d states: %v", len(states), states)
	}
	for _, s := range states {
		if !s.Valid() {
			t.Errorf("%s is not valid", s)
		}
		if s.Final() != slices.Contains(final, s) {
			t.Errorf("%s is final: %v", s, s.Final())
		}
	}
	for _, s := range []ackbox.State{"", "PENDING", "running"} {
		if s.Valid() || s.Final() {
			t.Errorf("%q: valid %v, final %v", s, s.Valid(), s.Final())
		}
	}
	states[0] = "changed"
	if ackbox.States()[0] != ackbox.Pending {
		t.Error("the caller's copy is the package's own")
	}
}

func TestRunFrom(t *testing.T) {
	t.Parallel()
	if r, ok := ackbox.RunFrom(t.Context()); ok || r.Job.ID != "" {
		t.Errorf("a bare context carries %+v", r)
	}
	cause := errors.New("cause")
	ctx := ackbox.WithRun(t.Context(), ackbox.Run{Job: ackbox.Job{ID: "1"}})
	inner := ackbox.WithRun(ctx, ackbox.Run{Job: ackbox.Job{ID: "2"}, Cause: cause})
	inner, cancel := context.WithCancel(inner)
	defer cancel()
	if r, ok := ackbox.RunFrom(ctx); !ok || r.Job.ID != "1" || r.Cause != nil {
		t.Errorf("got %+v, %v", r, ok)
	}
	if r, ok := ackbox.RunFrom(inner); !ok || r.Job.ID != "2" || !errors.Is(r.Cause, cause) {
		t.Errorf("got %+v, %v", r, ok)
	}
}
