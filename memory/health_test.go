package memory_test

import (
	"strings"
	"testing"

	"github.com/ackbox/ackbox/memory"
)

func TestHealth(t *testing.T) {
	t.Parallel()
	b, err := memory.New(memory.Config{})
	if err != nil {
		t.Fatal(err)
	}
	want := func(live, ready bool, why string) {
		t.Helper()
		h := b.Health(t.Context())
		if h.Part != "memory" || h.Live != live || h.Ready != ready || (why == "") != (h.Why == "") || !strings.Contains(h.Why, why) {
			t.Errorf("health is %+v, want live %v, ready %v, because %q", h, live, ready, why)
		}
	}
	want(true, true, "")
	b.SetAway(true)
	want(true, false, "away")
	b.SetAway(false)
	want(true, true, "")
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	want(false, false, "closed")
}
