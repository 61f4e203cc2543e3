package rabbitmq_test

import (
	"testing"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/integration/brokertest"
	"github.com/ackbox/ackbox/internal/testenv"
	"github.com/ackbox/ackbox/rabbitmq"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	brokertest.Run(t, func(t *testing.T, topology ackbox.Topology) brokertest.Broker {
		t.Helper()
		b, err := rabbitmq.New(rabbitmq.Config{
			URL:             testenv.AMQPURL(t),
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
