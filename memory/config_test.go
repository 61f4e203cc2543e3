package memory_test

import (
	"strings"
	"testing"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/memory"
)

func TestNewNamesTheBadField(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		cfg  memory.Config
		want string
	}{
		{"negative size", memory.Config{MaxMessageBytes: -1}, "MaxMessageBytes is -1"},
		{"negative rung", memory.Config{RetryLadder: []time.Duration{-time.Second}}, "RetryLadder[0] is -1s"},
		{"zero rung", memory.Config{RetryLadder: []time.Duration{0}}, "RetryLadder[0] is 0s"},
		{"falling rungs", memory.Config{RetryLadder: []time.Duration{time.Minute, time.Second}}, "RetryLadder[1] is 1s"},
		{"bad queue", memory.Config{Topology: ackbox.Topology{Queues: []ackbox.Queue{{Name: "a b"}}}}, "Topology: ackbox: Queues[0].Name"},
		{"taken dead queue", memory.Config{Topology: ackbox.Topology{Queues: []ackbox.Queue{{Name: "a"}, {Name: "a.dead"}}}}, `"a.dead" is taken`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := memory.New(tt.cfg)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got error %v, want one that says %q", err, tt.want)
			}
		})
	}
}

func TestZeroConfigWorks(t *testing.T) {
	t.Parallel()
	b := newBroker(t, memory.Config{})
	if err := b.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	publish(t, b, job("1"))
	if got := waiting(t, b, ackbox.DefaultQueue); got != 1 {
		t.Errorf("%d messages wait, want 1", got)
	}
}
