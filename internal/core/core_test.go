package core_test

import (
	"testing"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
)

func TestDeliveryFirst(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		d    core.Delivery
		want bool
	}{
		"first":       {core.Delivery{Job: ackbox.Job{Attempt: 1}}, true},
		"no attempt":  {core.Delivery{}, true}, // of a stranger's message
		"redelivered": {core.Delivery{Job: ackbox.Job{Attempt: 1}, Redelivered: true}, false},
		"second try":  {core.Delivery{Job: ackbox.Job{Attempt: 2}}, false},
		"sent again":  {core.Delivery{Job: ackbox.Job{Attempt: 1, Resend: 1}}, false},
	}
	for name, tt := range tests {
		if got := tt.d.First(); got != tt.want {
			t.Errorf("%s: got %v, want %v", name, got, tt.want)
		}
	}
}

func TestWords(t *testing.T) {
	t.Parallel()
	tests := []struct{ got, want string }{
		{core.Unknown.String(), "unknown"},
		{core.Acked.String(), "acked"},
		{core.NackedByBroker.String(), "nacked"},
		{core.Returned.String(), "returned"},
		{core.Status(9).String(), "status(9)"},
		{core.Status(-1).String(), "status(-1)"},
		{core.Busy.String(), "busy"},
		{core.Recorded.String(), "recorded"},
		{core.Stale.String(), "stale"},
		{core.Verdict(9).String(), "verdict(9)"},
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
	if s := (core.Outcome{}).Status; s != core.Unknown {
		t.Errorf("the zero outcome is %v", s)
	}
	if v := *new(core.Verdict); v != core.Busy {
		t.Errorf("the zero verdict is %v", v)
	}
}
