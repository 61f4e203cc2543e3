package memory

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ackbox/ackbox"
)

const (
	defaultMaxMessageBytes = 16 << 20
	maxMessage             = 128 << 20
	maxRungs               = 32
	maxRung                = 24 * time.Hour
)

// defaultLadder is the same as package rabbitmq's, so that a retry waits as
// long in a test as it does in production.
var defaultLadder = []time.Duration{
	time.Second, 5 * time.Second, 30 * time.Second,
	2 * time.Minute, 10 * time.Minute, time.Hour,
}

// Config describes a [Broker]. The zero Config works: one queue named
// [ackbox.DefaultQueue].
type Config struct {
	// Topology names the queues and exchanges that exist. Default: one queue
	// named "default". The queues' Type, Arguments, DeliveryLimit and Passive are
	// ignored; there is no exchange of the kind [ackbox.Headers].
	Topology ackbox.Topology
	// RetryLadder lists the pauses that [Broker.Retry] can make, shortest
	// first, at most 32 of them up to 24 h. Default 1s, 5s, 30s, 2m, 10m, 1h.
	RetryLadder []time.Duration
	// MaxMessageBytes is the largest payload that is accepted. Default 16 MiB,
	// the limit of RabbitMQ 4; up to 128 MiB, that of RabbitMQ 3.
	MaxMessageBytes int
}

func (c Config) withDefaults() Config {
	c.Topology = c.Topology.WithDefaults()
	if len(c.RetryLadder) == 0 {
		c.RetryLadder = defaultLadder
	}
	c.RetryLadder = slices.Clone(c.RetryLadder)
	if c.MaxMessageBytes == 0 {
		c.MaxMessageBytes = defaultMaxMessageBytes
	}
	return c
}

// validate reports everything that is wrong with c, after defaults.
func (c Config) validate() error {
	var errs []error
	if err := c.Topology.Validate(); err != nil {
		errs = append(errs, fmt.Errorf("memory: Topology: %w", err))
	}
	for i, x := range c.Topology.Exchanges {
		if x.Kind == ackbox.Headers {
			errs = append(errs, fmt.Errorf("memory: Topology: Exchanges[%d].Kind is %q, which this broker has not: want %q, %q or %q", i, x.Kind, ackbox.Direct, ackbox.Topic, ackbox.Fanout))
		}
	}
	names := c.Topology.QueueNames()
	for _, name := range names {
		if slices.Contains(names, name+deadSuffix) {
			errs = append(errs, fmt.Errorf("memory: Topology: queue %q is taken: it holds the dead messages of %q", name+deadSuffix, name))
		}
	}
	if len(c.RetryLadder) > maxRungs {
		errs = append(errs, fmt.Errorf("memory: RetryLadder has %d rungs: at most %d are allowed", len(c.RetryLadder), maxRungs))
	}
	for i, rung := range c.RetryLadder {
		if rung <= 0 || rung > maxRung {
			errs = append(errs, fmt.Errorf("memory: RetryLadder[%d] is %v: want more than 0 and at most %v", i, rung, maxRung))
		} else if i > 0 && rung <= c.RetryLadder[i-1] {
			errs = append(errs, fmt.Errorf("memory: RetryLadder[%d] is %v: want more than RetryLadder[%d], %v", i, rung, i-1, c.RetryLadder[i-1]))
		}
	}
	if c.MaxMessageBytes < 0 || c.MaxMessageBytes > maxMessage {
		errs = append(errs, fmt.Errorf("memory: MaxMessageBytes is %d: want 1 to %d, or 0 for the default", c.MaxMessageBytes, maxMessage))
	}
	return errors.Join(errs...)
}
