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
	if len(states) != 6 {
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

func TestDeliveryFirst(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		d    ackbox.Delivery
		want bool
	}{
		"first":       {ackbox.Delivery{Job: ackbox.Job{Attempt: 1}}, true},
		"no attempt":  {ackbox.Delivery{}, true}, // of a stranger's message
		"redelivered": {ackbox.Delivery{Job: ackbox.Job{Attempt: 1}, Redelivered: true}, false},
		"second try":  {ackbox.Delivery{Job: ackbox.Job{Attempt: 2}}, false},
		"sent again":  {ackbox.Delivery{Job: ackbox.Job{Attempt: 1, Resend: 1}}, false},
	}
	for name, tt := range tests {
		if got := tt.d.First(); got != tt.want {
			t.Errorf("%s: got %v, want %v", name, got, tt.want)
		}
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

func TestWords(t *testing.T) {
	t.Parallel()
	tests := []struct{ got, want string }{
		{ackbox.Unknown.String(), "unknown"},
		{ackbox.Acked.String(), "acked"},
		{ackbox.NackedByBroker.String(), "nacked"},
		{ackbox.Returned.String(), "returned"},
		{ackbox.Status(9).String(), "status(9)"},
		{ackbox.Status(-1).String(), "status(-1)"},
		{ackbox.Busy.String(), "busy"},
		{ackbox.Recorded.String(), "recorded"},
		{ackbox.Stale.String(), "stale"},
		{ackbox.Verdict(9).String(), "verdict(9)"},
	}
	for _, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
}

// An outcome or verdict that nobody filled in must not pass for a success.
func TestZeroValuesAreNoSuccess(t *testing.T) {
	t.Parallel()
	if s := (ackbox.Outcome{}).Status; s != ackbox.Unknown {
		t.Errorf("the zero outcome is %v", s)
	}
	if v := *new(ackbox.Verdict); v != ackbox.Busy {
		t.Errorf("the zero verdict is %v", v)
	}
}
