//go:build unix

package torture_test

import (
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/ackbox/ackbox/internal/integration/site"
	"github.com/ackbox/ackbox/internal/integration/torture"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A short torture, another one each time. `make torture` is the long one.
func TestTorture(t *testing.T) {
	t.Parallel()
	shopd, err := site.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var out lines
	result, err := torture.Run(t.Context(), torture.Config{
		Seed: uint64(rand.Uint32()), Duration: 40 * time.Second, Shopd: shopd, Out: &out,
	})
	if err == nil {
		err = result.Err()
	}
	if err != nil {
		t.Errorf("%v\n%s", err, out.String())
	}
	if result.Faults < 3 {
		t.Errorf("only %d faults came", result.Faults)
	}
	t.Log(result)
}

// The same seed strikes in the same order and as hard; another does not.
func TestSeedRepeats(t *testing.T) {
	t.Parallel()
	const steps = 300
	one, err := torture.Schedule(torture.Config{Seed: 1}, steps)
	if err != nil {
		t.Fatal(err)
	}
	again, _ := torture.Schedule(torture.Config{Seed: 1}, steps)
	other, _ := torture.Schedule(torture.Config{Seed: 2}, steps)
	if one != again || one == other {
		t.Error("the schedule does not follow the seed")
	}
	for _, name := range []string{"broker: killed", "database: killed", "worker: killed at worker.recorded", "dispatcher: frozen"} {
		if !strings.Contains(one, name) {
			t.Errorf("%q is not among %d steps", name, steps)
		}
	}
	clustered, _ := torture.Schedule(torture.Config{Seed: 1, Cluster: true}, steps)
	for _, name := range []string{"leader killed", "follower killed", "cut off", "one by one", "stalled", "other arguments"} {
		if !strings.Contains(clustered, name) {
			t.Errorf("%q is not among %d steps of a cluster", name, steps)
		}
	}
	if _, err := torture.Schedule(torture.Config{Seed: 1, Only: "no such fault"}, 1); err == nil || !strings.Contains(err.Error(), "no such fault") {
		t.Errorf("a filter that leaves nothing: %v", err)
	}
}

// lines collects what a run says.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write implements io.Writer.
func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
