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
	"github.com/ackbox/ackbox/internal/hook"
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
	// Queues are those that jobs may name.
	Queues() []string
	// Beat says that an instance lives; Leave that it has ended.
	Beat(ctx context.Context, self core.Instance) (core.Census, error)
	Leave(ctx context.Context, id string) error
	// WriteStats writes down what Relay has counted if it is time, or if all is true.
	WriteStats(ctx context.Context, all bool) error
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
	// Queues are those that it knows, which never change.
	Queues() []string
	// Publish publishes jobs and returns an outcome for each, in order.
	Publish(ctx context.Context, jobs []ackbox.Job) []core.Outcome
}

const (
	defaultBatchSize    = 512
	defaultInFlight     = 2
	defaultPollInterval = 200 * time.Millisecond
	defaultRefusalLimit = 24 * time.Hour
	maxRefusalLimit     = 365 * 24 * time.Hour
)

// refusalBackoff spaces the publishes of a refused job: its queue may be free again in
// a minute, and what it costs is bounded by leaving queues alone that refuse.
type refusalBackoff struct{}

// Next implements retry.Policy: 1 s, doubling up to 1 minute, ±20%.
func (refusalBackoff) Next(refusal int) time.Duration {
	return jitter(min(time.Second<<min(max(refusal-1, 0), 6), time.Minute))
}

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
	// Backoff spaces the publishes of a job that the broker refuses (a full queue, a
	// missing one). Default: 1 s, doubling up to 1 minute. A queue that has refused a
	// whole batch is left alone besides, for 1 s, doubling up to 30 s.
	Backoff retry.Policy
	// RefusalLimit is for how long the broker may refuse a try of a job. Then the job
	// is refused for good: a worker of its queue calls FailAction, and it is dead. An
	// event, which no worker of ours has, is dead at once. An outage is no refusal.
	// Default 24 h; 1 ms to 365 days.
	RefusalLimit time.Duration
	// Hooks are told what the broker said of each job ([ackbox.PublishHook]), in the
	// order given.
	Hooks []ackbox.Hook
	// Logger receives refusals, failures and recoveries; never payloads.
	// Default slog.Default().
	Logger *slog.Logger
}

func (c Config) withDefaults() Config {
	c.BatchSize = cmp.Or(c.BatchSize, defaultBatchSize)
	c.InFlight = cmp.Or(c.InFlight, defaultInFlight)
	c.PollInterval = cmp.Or(c.PollInterval, defaultPollInterval)
	c.RefusalLimit = cmp.Or(c.RefusalLimit, defaultRefusalLimit)
	if c.Backoff == nil {
		c.Backoff = refusalBackoff{}
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
	if c.RefusalLimit < time.Millisecond || c.RefusalLimit > maxRefusalLimit {
		bad("RefusalLimit is %v: want at least 1ms and at most %v", c.RefusalLimit, maxRefusalLimit)
	}
	for _, err := range hook.Check(c.Hooks) {
		bad("%w", err)
	}
	return errors.Join(errs...)
}

// absent reports whether v is nil or an interface around a nil pointer, of
// which the first call would only panic.
func absent(v any) bool {
	value := reflect.ValueOf(v)
	return v == nil || value.Kind() == reflect.Pointer && value.IsNil()
}
