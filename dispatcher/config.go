package dispatcher

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/retry"
)

// Outbox is the part of the jobs table that a dispatcher needs; *outbox.Store
// is one.
type Outbox interface {
	// Relay claims due jobs, has them published and records the transitions that
	// publish returns, one per job in the same order. The zero Transition leaves
	// its job as it is.
	Relay(ctx context.Context, claim core.Claim, publish func(context.Context, []ackbox.Job) []core.Transition) (int, error)
	// Wake receives after a job was enqueued in this process.
	Wake() <-chan struct{}
}

// Broker is the part of a message broker that a dispatcher needs;
// *rabbitmq.Broker and *memory.Broker are two.
type Broker interface {
	// Ready blocks until a publish can be expected to be confirmed.
	Ready(ctx context.Context) error
	// Unavailable lists the queues that take nothing at present, for which
	// nothing is to be claimed. A queue whose turn to be tried has come is left
	// out of it once.
	Unavailable() []string
	// Publish publishes jobs and returns an outcome for each, in order.
	Publish(ctx context.Context, jobs []ackbox.Job) []core.Outcome
}

// Defaults of [Config].
const (
	DefaultBatchSize          = 512
	DefaultInFlight           = 2
	DefaultPollInterval       = 200 * time.Millisecond
	DefaultMaxPublishAttempts = 20
)

// Config configures a [Dispatcher]. The zero Config works.
type Config struct {
	// BatchSize is the most jobs claimed and published together; large payloads
	// make it fewer (outbox.Config.MaxBatchBytes). Default 512; 1 to 5000.
	BatchSize int
	// InFlight is how many batches may be on the wire at once, so that database
	// and broker work at the same time. Each uses one database connection, and so
	// does a small one beside full batches, for other queues than theirs.
	// Default 2; 1 to 64.
	InFlight int
	// PollInterval is how long an idle dispatcher waits before it looks for
	// due jobs again, ±10%. A job enqueued in the same process is found sooner.
	// Default 200 ms; 1 ms to 1 h.
	PollInterval time.Duration
	// Backoff spaces the publishes of a job that the broker refuses. Default
	// [retry.Default]: 1 s, doubling up to 1 h.
	Backoff retry.Policy
	// MaxPublishAttempts is how often a broker may refuse a job before it is
	// dead. Default 20; 1 to 1,000,000. An outage is no refusal.
	MaxPublishAttempts int
	// Logger receives refusals, failures and recoveries; never payloads.
	// Default slog.Default().
	Logger *slog.Logger
}

func (c Config) withDefaults() Config {
	c.BatchSize = cmp.Or(c.BatchSize, DefaultBatchSize)
	c.InFlight = cmp.Or(c.InFlight, DefaultInFlight)
	c.PollInterval = cmp.Or(c.PollInterval, DefaultPollInterval)
	c.MaxPublishAttempts = cmp.Or(c.MaxPublishAttempts, DefaultMaxPublishAttempts)
	if c.Backoff == nil {
		c.Backoff = retry.Default
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c
}

func (c Config) validate() error {
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("dispatcher: Config."+format, args...))
	}
	if c.BatchSize < 1 || c.BatchSize > 5000 {
		bad("BatchSize is %d: want 1 to 5000", c.BatchSize)
	}
	if c.InFlight < 1 || c.InFlight > 64 {
		bad("InFlight is %d: want 1 to 64", c.InFlight)
	}
	if c.PollInterval < time.Millisecond || c.PollInterval > time.Hour {
		bad("PollInterval is %v: want at least 1ms and at most 1h", c.PollInterval)
	}
	if absent(c.Backoff) {
		bad("Backoff holds a nil %T: want a policy such as retry.Exponential, or none", c.Backoff)
	}
	if c.MaxPublishAttempts < 1 || c.MaxPublishAttempts > 1_000_000 {
		bad("MaxPublishAttempts is %d: want at least 1 and at most 1000000", c.MaxPublishAttempts)
	}
	return errors.Join(errs...)
}

// absent reports whether v is nil or an interface around a nil pointer, of
// which the first call would only panic.
func absent(v any) bool {
	value := reflect.ValueOf(v)
	return v == nil || value.Kind() == reflect.Pointer && value.IsNil()
}
