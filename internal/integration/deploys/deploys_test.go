//go:build unix

package deploys_test

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/ackbox/ackbox/internal/integration/deploys"
	"github.com/ackbox/ackbox/internal/integration/site"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Some deploys in short order, others each time. `make deploys` is the long one.
func TestDeploys(t *testing.T) {
	t.Parallel()
	shopd, err := site.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer // said by one goroutine
	result, err := deploys.Run(t.Context(), deploys.Config{
		Seed: uint64(rand.Uint32()), Duration: 20 * time.Second, Pace: 10, Shopd: shopd, Out: &out,
	})
	if err == nil {
		err = result.Err()
	}
	if err != nil {
		t.Errorf("%v\n%s", err, out.String())
	}
	if result.Graceful+result.Killed < 6 {
		t.Errorf("only %d were stopped and %d killed", result.Graceful, result.Killed)
	}
	t.Logf("%v; runs cut short: %d, interrupted: %d", result, result.CutShort, result.Interrupted)
}
