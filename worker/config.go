package worker

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
	"github.com/ackbox/ackbox/internal/name"
	"github.com/ackbox/ackbox/retry"
)

// Ledger is the part of the jobs table that a worker needs; *outbox.Store is
// one.
type Ledger interface {
	// Finish records outcomes and returns a verdict for each, in order. It is
	// idempotent.
	Finish(ctx context.Context, transitions []core.Transition) ([]core.Verdict, error)
	// Current answers whether a delivered job still is the current copy: Current,
	// Stale or Missing.
	Current(ctx context.Context, job ackbox.Job) (core.Verdict, error)
	// Identity returns what ackbox.Job.Ledger is of this ledger's jobs. It never
	// changes. A worker consumes nothing before it has had an answer.
	Identity(ctx context.Context) (string, error)
	// Vouch records that jobs are in this worker's hands.
	Vouch(ctx context.Context, ids []string) error
}

// Announcer may be implemented by a [Ledger], too, whose rows a dispatcher of the
// same process may hold.
type Announcer interface {
	// Announce tells that Finish will be called with t soon. It must not wait.
	Announce(t core.Transition)
	// Released receives after a dispatcher has let go of announced rows, so that
	// Finish need not be tried in vain. It may miss some.
	Released() <-chan struct{}
}

// Broker is the part of a message broker that a worker needs; *rabbitmq.Broker
// and *memory.Broker are two.
type Broker interface {
	// Consume hands the queue's messages to handle, at most prefetch of them
	// unsettled. When ctx ends it stops intake, waits until all that were
	// handed out are settled and returns nil; a lost subscription is an error.
	Consume(ctx context.Context, queue string, prefetch int, handle func(core.Delivery)) error
	// Retry parks a copy of a message without a row in this ledger for delay.
	Retry(ctx context.Context, d core.Delivery, delay time.Duration) error
	// Bury puts a copy of a message without a row in this ledger into the dead
	// queue.
	Bury(ctx context.Context, d core.Delivery, cause string) error
}

// Queue is one queue that a worker consumes.
type Queue struct {
	Name string
	// Concurrency bounds this queue's jobs running at once in this process.
	// Default Config.Concurrency.
	Concurrency int
	// Prefetch bounds the messages that the broker hands out before they are
	// acknowledged: the running, those waiting for a slot, and those whose
	// outcome is about to be recorded. Default 2 × Concurrency + 16. Raise it
	// for jobs of a few milliseconds; lower it, towards Concurrency, for jobs
	// of minutes, so that they wait where another instance can take them. With
	// less than Concurrency, not all slots can be used. 1 to 65,535.
	Prefetch int
}

// Defaults of [Config].
const (
	DefaultConcurrency        = 16
	DefaultJobTimeout         = time.Minute
	DefaultGrace              = 15 * time.Second
	DefaultMaxAttempts        = 10
	DefaultFailActionAttempts = 3
	DefaultMaxReturns         = 10
	DefaultUnknownKindDelay   = 15 * time.Second
	DefaultFlushInterval      = 2 * time.Millisecond
	DefaultFlushSize          = 512
	DefaultVouchInterval      = 30 * time.Second
)

// Config configures a [Worker]. The zero Config works.
type Config struct {
	// Queues are consumed. Default: just [ackbox.DefaultQueue].
	Queues []Queue
	// Concurrency bounds the jobs running at once in this process, over all
	// queues. Default 16; 1 to 100,000.
	Concurrency int
	// JobTimeout ends the context of a call of a handler that sets no timeout
	// of its own. Default 1 minute; up to 30 days.
	JobTimeout time.Duration
	// Grace is how long jobs in hand may go on after Run was told to stop,
	// before their contexts are cancelled. Default 15 s; up to 24 h.
	Grace time.Duration
	// Backoff spaces the tries of handlers that set no policy of their own.
	// Default [retry.Default]: 1 s, doubling up to 1 h.
	Backoff retry.Policy
	// MaxAttempts is how many tries a message without a row has. Jobs bring
	// their own number. Default 10; 1 to 1000.
	MaxAttempts int
	// FailActionAttempts is how often FailAction is called until it succeeds. A
	// call that fails while the ledger is away does not count. Default 3; 1 to
	// 100.
	FailActionAttempts int
	// MaxReturns is how often one try may come back from the broker without
	// an outcome, because its workers died, before that counts as a failed
	// try. Default 10; 1 to 19: at 20 RabbitMQ 4 drops the message.
	MaxReturns int
	// UnknownKindDelay is how long a job of a kind that is not registered here
	// (a rolling deploy) waits before it is sent again, uncharged. Default 15 s;
	// up to 24 h.
	UnknownKindDelay time.Duration
	// FlushInterval and FlushSize bound how long, and how many, outcomes wait
	// to be recorded together. Defaults 2 ms and 512; up to 1 minute and 5000.
	FlushInterval time.Duration
	FlushSize     int
	// VouchInterval is how often the ledger is told which jobs are in hand. It
	// must be below a quarter of the sweeper's StuckAfter. Default 30 s; 1 ms to
	// 24 h.
	VouchInterval time.Duration
	// Logger receives failures and what people must know; never payloads.
	// Default slog.Default().
	Logger *slog.Logger
}

func (c Config) withDefaults() Config {
	c.Concurrency = cmp.Or(c.Concurrency, DefaultConcurrency)
	c.JobTimeout = cmp.Or(c.JobTimeout, DefaultJobTimeout)
	c.Grace = cmp.Or(c.Grace, DefaultGrace)
	c.MaxAttempts = cmp.Or(c.MaxAttempts, DefaultMaxAttempts)
	c.FailActionAttempts = cmp.Or(c.FailActionAttempts, DefaultFailActionAttempts)
	c.MaxReturns = cmp.Or(c.MaxReturns, DefaultMaxReturns)
	c.UnknownKindDelay = cmp.Or(c.UnknownKindDelay, DefaultUnknownKindDelay)
	c.FlushInterval = cmp.Or(c.FlushInterval, DefaultFlushInterval)
	c.FlushSize = cmp.Or(c.FlushSize, DefaultFlushSize)
	c.VouchInterval = cmp.Or(c.VouchInterval, DefaultVouchInterval)
	if c.Backoff == nil {
		c.Backoff = retry.Default
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	queues := c.Queues
	if len(queues) == 0 {
		queues = []Queue{{Name: ackbox.DefaultQueue}}
	}
	c.Queues = make([]Queue, len(queues))
	for i, q := range queues {
		q.Concurrency = cmp.Or(q.Concurrency, c.Concurrency)
		q.Prefetch = cmp.Or(q.Prefetch, min(2*q.Concurrency+16, maxPrefetch))
		c.Queues[i] = q
	}
	return c
}

// maxPrefetch is AMQP's: the count is 16 bits wide.
const maxPrefetch = 65535

func (c Config) validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("worker: Config."+format, args...)) }
	upTo := func(field string, n, most int) {
		if n < 1 || n > most {
			bad("%s is %d: want 1 to %d", field, n, most)
		}
	}
	positive := func(field string, d, most time.Duration) {
		if d <= 0 || d > most {
			bad("%s is %v: want more than 0 and at most %v", field, d, most)
		}
	}
	seen := make(map[string]bool)
	for i, q := range c.Queues {
		field := fmt.Sprintf("Queues[%d]", i)
		errs = append(errs, name.Check("Config."+field+".Name", q.Name))
		if seen[q.Name] {
			bad("%s.Name %q is listed twice", field, q.Name)
		}
		seen[q.Name] = true
		upTo(field+".Concurrency", q.Concurrency, 100_000)
		upTo(field+".Prefetch", q.Prefetch, maxPrefetch)
	}
	upTo("Concurrency", c.Concurrency, 100_000)
	upTo("MaxAttempts", c.MaxAttempts, 1000)
	upTo("FailActionAttempts", c.FailActionAttempts, 100)
	upTo("MaxReturns", c.MaxReturns, 19)
	upTo("FlushSize", c.FlushSize, 5000)
	positive("JobTimeout", c.JobTimeout, 30*day)
	positive("Grace", c.Grace, day)
	positive("UnknownKindDelay", c.UnknownKindDelay, day)
	positive("FlushInterval", c.FlushInterval, time.Minute)
	if c.VouchInterval < time.Millisecond || c.VouchInterval > day {
		bad("VouchInterval is %v: want 1ms to %v", c.VouchInterval, day)
	}
	if absent(c.Backoff) {
		bad("Backoff holds a nil %T: want a policy such as retry.Exponential, or none", c.Backoff)
	}
	return errors.Join(errs...)
}

const day = 24 * time.Hour

// absent reports whether v is nil or an interface around a nil pointer, of
// which the first call would only panic.
func absent(v any) bool {
	value := reflect.ValueOf(v)
	return v == nil || value.Kind() == reflect.Pointer && value.IsNil()
}
