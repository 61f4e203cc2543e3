package worker

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/hook"
	"github.com/ackbox/ackbox/retry"
)

// Queue is one queue that a worker consumes.
type Queue struct {
	Name string
	// Concurrency is how many slots the queue has: its jobs running at once in this
	// Worker. Default Config.Concurrency; 1 to 100,000.
	Concurrency int
	// Prefetch bounds the messages that the broker hands out before they are
	// acknowledged: the running, those waiting for a slot, and those whose
	// outcome is about to be recorded. Default 2 × Concurrency + 16. Raise it
	// for jobs of a few milliseconds; lower it, towards Concurrency, for jobs
	// of minutes, so that they wait where another instance can take them. With
	// less than Concurrency, not all slots can be used. 1 to 65,535.
	Prefetch int
	// Messages says how messages are read that others publish to the queue, without a
	// row.
	Messages Messages
}

// Defaults of [Config].
const (
	defaultConcurrency        = 16
	defaultJobTimeout         = time.Minute
	defaultGrace              = 15 * time.Second
	defaultMaxAttempts        = 10
	defaultFailActionAttempts = 3
	defaultMaxStarts          = 20
	defaultAckWithin          = 5 * time.Minute
	defaultUnknownKindDelay   = 15 * time.Second
	defaultUnknownKindLimit   = 24 * time.Hour
	defaultFlushInterval      = 2 * time.Millisecond
	defaultFlushSize          = 512
)

// Config configures a [Worker]. The zero Config works.
type Config struct {
	// Queues are consumed. Each has to be in the broker's topology. Default: just
	// [ackbox.DefaultQueue].
	Queues []Queue
	// Concurrency is that of each queue which sets none of its own. No queue can
	// take another's slots. Default 16; 1 to 100,000.
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
	// MaxStarts is how often one try may be started without an outcome, because
	// its process died, before that counts as a failed try. Beyond half of it such
	// jobs run one at a time, so that one which kills its process takes no
	// neighbour along that may be suspected as well. Starts are counted in the
	// ledger, of what has run for about a second or was not a first delivery. If the
	// processes that call FailAction for it die, too, the job is dead without FailAction
	// after twice as many.
	// Default 20; 2 to 1000.
	MaxStarts int
	// AckWithin is the longest that a job's message stays unacknowledged. One that
	// runs longer is on record in the ledger, which then has it alone; one that
	// still waits for a slot goes back to the ledger, uncharged. Keep it below half
	// of the broker's consumer timeout (RabbitMQ: 30 minutes). Default 5 minutes;
	// 1 s to 24 h.
	AckWithin time.Duration
	// UnknownKindDelay is how long a job of a kind that is not registered here
	// (a rolling deploy) waits before it is sent again, uncharged; each time twice
	// as long, up to 15 minutes. Default 15 s; up to 24 h.
	UnknownKindDelay time.Duration
	// UnknownKindLimit is how long a message without a row, of a kind that no worker
	// knows, goes on waiting for one before it is buried in the dead queue. Jobs wait in
	// the ledger without a limit. Default 24 h; 1 s to 30 days.
	UnknownKindLimit time.Duration
	// FlushInterval and FlushSize bound how long, and how many, outcomes wait
	// to be recorded together. Defaults 2 ms and 512; up to 1 s and 5000.
	FlushInterval time.Duration
	FlushSize     int
	// Hooks are told when a handler is called ([ackbox.StartHook]) and what became of it
	// ([ackbox.FinishHook]), in the order given.
	Hooks []ackbox.Hook
	// Logger receives failures and what people must know; never payloads.
	// Default slog.Default().
	Logger *slog.Logger
}

func (c Config) withDefaults() Config {
	c.Concurrency = cmp.Or(c.Concurrency, defaultConcurrency)
	c.JobTimeout = cmp.Or(c.JobTimeout, defaultJobTimeout)
	c.Grace = cmp.Or(c.Grace, defaultGrace)
	c.MaxAttempts = cmp.Or(c.MaxAttempts, defaultMaxAttempts)
	c.FailActionAttempts = cmp.Or(c.FailActionAttempts, defaultFailActionAttempts)
	c.MaxStarts = cmp.Or(c.MaxStarts, defaultMaxStarts)
	c.AckWithin = cmp.Or(c.AckWithin, defaultAckWithin)
	c.UnknownKindDelay = cmp.Or(c.UnknownKindDelay, defaultUnknownKindDelay)
	c.UnknownKindLimit = cmp.Or(c.UnknownKindLimit, defaultUnknownKindLimit)
	c.FlushInterval = cmp.Or(c.FlushInterval, defaultFlushInterval)
	c.FlushSize = cmp.Or(c.FlushSize, defaultFlushSize)
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
		q.Messages = q.Messages.withDefaults()
		c.Queues[i] = q
	}
	return c
}

// maxPrefetch is AMQP's: the count is 16 bits wide.
const maxPrefetch = 65535

// validate checks c, whose unset fields have their defaults by now, against what
// the broker has.
func (c Config) validate(topology []string) error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("worker: Config."+format, args...)) }
	upTo := func(field string, n, most int) {
		if n < 1 || n > most {
			bad("%s is %d: want 1 to %d", field, n, most)
		}
	}
	between := func(field string, d, least, most time.Duration) {
		if d < least || d > most {
			bad("%s is %v: want %v to %v", field, d, least, most)
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
		if q.Name == "" {
			bad("%s.Name is empty: want a queue of the broker's topology, which has %.20q", field, topology)
		}
		if seen[q.Name] {
			bad("%s.Name %q is listed twice", field, q.Name)
		}
		seen[q.Name] = true
		if q.Name != "" && !slices.Contains(topology, q.Name) {
			bad("%s.Name %.100q is not in the broker's topology, which has %.20q", field, q.Name, topology)
		}
		upTo(field+".Concurrency", q.Concurrency, 100_000)
		upTo(field+".Prefetch", q.Prefetch, maxPrefetch)
		for _, err := range q.Messages.validate() {
			bad("%s.%w", field, err)
		}
	}
	upTo("Concurrency", c.Concurrency, 100_000)
	upTo("MaxAttempts", c.MaxAttempts, 1000)
	upTo("FailActionAttempts", c.FailActionAttempts, 100)
	upTo("FlushSize", c.FlushSize, 5000)
	positive("JobTimeout", c.JobTimeout, 30*day)
	positive("Grace", c.Grace, day)
	positive("UnknownKindDelay", c.UnknownKindDelay, day)
	positive("FlushInterval", c.FlushInterval, time.Second)
	between("AckWithin", c.AckWithin, time.Second, day)
	between("UnknownKindLimit", c.UnknownKindLimit, time.Second, 30*day)
	if c.MaxStarts < 2 || c.MaxStarts > 1000 {
		bad("MaxStarts is %d: want 2 to 1000", c.MaxStarts)
	}
	if absent(c.Backoff) {
		bad("Backoff holds a nil %T: want a policy such as retry.Exponential, or none", c.Backoff)
	}
	for _, err := range hook.Check(c.Hooks) {
		bad("%w", err)
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
