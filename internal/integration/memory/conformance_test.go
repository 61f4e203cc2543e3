// Package memory_test runs the broker conformance suite on package memory.
package memory_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/integration/brokertest"
	"github.com/ackbox/ackbox/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	t.Parallel()
	brokertest.Run(t, func(t *testing.T, topology ackbox.Topology) brokertest.Broker {
		t.Helper()
		b, err := memory.New(memory.Config{
			Topology:        topology,
			RetryLadder:     brokertest.Ladder(),
			MaxMessageBytes: brokertest.MaxMessageBytes,
		})
		if err != nil {
			t.Fatal(err)
		}
		return b
	})
}
