package retry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/robfig/cron/v3"

	"github.com/ackbox/ackbox/internal/core"
)

// Ledger is the part of the jobs table that holds refused and finished jobs.
type Ledger interface {
	// NackedQueues and FinishedQueues return the queues that may have nacked
	// jobs, and finished ones; those of publish-only messages have no name.
	NackedQueues(ctx context.Context) ([]string, error)
	FinishedQueues(ctx context.Context) ([]string, error)
	// Rearm makes up to limit due nacked jobs of queue publishable again.
	Rearm(ctx context.Context, queue string, limit int) (int, error)
	// Purge deletes up to limit rows of queue that finished more than retention
	// ago; PurgeDead those of dead jobs of all queues.
	Purge(ctx context.Context, queue string, retention time.Duration, limit int) (int, error)
	PurgeDead(ctx context.Context, retention time.Duration, limit int) (int, error)
	// PurgeInbox deletes up to limit entries of the inbox that are older than retention.
	PurgeInbox(ctx context.Context, retention time.Duration, limit int) (int, error)
	// PurgeStats deletes up to limit rows of the statistics by minutes, or by hours, that
	// are older than retention.
	PurgeStats(ctx context.Context, step, retention time.Duration, limit int) (int, error)
}

// Sent is the part of the jobs table that holds jobs on their way.
type Sent interface {
	// Ages returns how old the sent jobs of each queue are.
	Ages(ctx context.Context) ([]core.QueueAge, error)
	// Resend makes up to limit sent jobs of queue publishable again that are in
	// nobody's hands and were not seen since before, and for at least idle.
	Resend(ctx context.Context, queue string, before time.Time, idle time.Duration, limit int) (int, error)
}

// Instances is the part of the jobs table that knows who is alive and what is in
// whose hands.
type Instances interface {
	// Beat says that instance is alive; Leave that it has ended.
	Beat(ctx context.Context, instance core.Instance) (core.Census, error)
	Leave(ctx context.Context, id string) error
	// TakeBack takes up to limit jobs from dead instances.
	TakeBack(ctx context.Context, limit int) (int, error)
	// Unattended lists the queues with old jobs that nobody takes.
	Unattended(ctx context.Context) ([]core.Unattended, error)
}

// Operations is the record of what people do to many jobs at once.
type Operations interface {
	// CarryOn does one step of a running operation: it changes up to limit jobs and
	// returns how many. more is false where no operation runs.
	CarryOn(ctx context.Context, limit int) (changed int, more bool, err error)
	// PurgeOperations deletes those that ended more than retention ago, of the oldest
	// limit.
	PurgeOperations(ctx context.Context, retention time.Duration, limit int) (int, error)
}

// Store is the whole jobs table as a sweeper sees it; *outbox.Store is one.
type Store interface {
	Ledger
	Sent
	Instances
	Operations
}

// Partitions is what a Store may be besides: a table in daily partitions.
// [Sweeper.Purge] then looks after them. *outbox.Store is one; without
// outbox.Config.Partitioned its methods do nothing.
type Partitions interface {
	// MakePartitions makes the missing partitions of today and the next ahead
	// days and returns how many.
	MakePartitions(ctx context.Context, ahead int) (int, error)
	// DropPartitions drops those that ended more than retention ago. It returns
	// their names, and of those that it kept also the reasons.
	DropPartitions(ctx context.Context, retention time.Duration) (dropped []string, kept map[string]string, err error)
}

// Broker tells how much is waiting; *rabbitmq.Broker and *memory.Broker do.
type Broker interface {
	// Waiting returns the number of messages that wait in queue and are in no
	// worker's hands, or an error: one that wraps core.ErrNoQueue says that the
	// queue does not exist, any other that it is not known, and nothing follows.
	Waiting(ctx context.Context, queue string) (int, error)
}

// Defaults of [Config].
const (
	DefaultRearm          = "@every 5s"
	DefaultResend         = "@every 30s"
	DefaultPurge          = "@every 1m"
	DefaultStuckAfter     = 10 * time.Minute
	DefaultRetention      = 3 * 24 * time.Hour
	DefaultDeadRetention  = 90 * 24 * time.Hour
	DefaultInboxRetention = 7 * 24 * time.Hour
	DefaultStatsRetention = 31 * 24 * time.Hour
	DefaultBatch          = 1000
	// DefaultOperationRetention is how long it is on record what people did.
	DefaultOperationRetention = 90 * 24 * time.Hour
)

// partitionsAhead is for how many days there are partitions: a weekend in which
// making them may fail and somebody can read the log.
const partitionsAhead = 3

// minuteStatsRetention is how long statistics by minutes are kept.
const minuteStatsRetention = 26 * time.Hour

// Config configures a [Sweeper]. The zero Config works.
type Config struct {
	// Rearm, Resend and Purge say when each sweep runs, as cron specs with five
	// fields or as "@every <duration>" of whole seconds. Defaults "@every 5s",
	// "@every 30s" and "@every 1m". Every instance runs them.
	Rearm, Resend, Purge string
	// StuckAfter is how long a sent job must have been in nobody's hands, as far as
	// is known, before it can be taken for lost. A worker puts on record what it has
	// held for a second. Default 10 minutes; 1 s to 30 days.
	StuckAfter time.Duration
	// Retention is how long done, cancelled and publish-only rows are kept.
	// Until then a late duplicate is still recognised. Default 3 days; up to
	// 100 years.
	Retention time.Duration
	// DeadRetention is how long dead rows are kept. Default 90 days; up to 100
	// years.
	DeadRetention time.Duration
	// InboxRetention is how long it is remembered which messages without a row were
	// completed or given up (outbox.Complete). A copy that comes later is taken for a new
	// message, so it should exceed what lies between two copies at most: the time until
	// the producer gives up sending again, all tries of a message, a weekend in which a
	// queue stands still, and what lies in a dead queue before it is requeued, if that
	// may be a copy of what was completed. A million messages take some 200 MB. Default 7
	// days; up to 100 years.
	InboxRetention time.Duration
	// OperationRetention is how long it is on record what people did to jobs and queues,
	// with their names. Default 90 days; up to 100 years.
	OperationRetention time.Duration
	// StatsRetention is how long statistics by hours are kept; those by minutes are for 26
	// hours at most. Default 31 days, which is as long as they are asked for; up to 100 years.
	StatsRetention time.Duration
	// Batch bounds the rows of one statement; a sweep repeats it while it
	// comes back full, queue by queue in turn, and logs every 5 s that it goes
	// on. Default 1000; 1 to 10,000.
	Batch int
	// Logger receives what was mended and what failed. Default slog.Default().
	Logger *slog.Logger
}

func (c Config) withDefaults() Config {
	c.Rearm = cmp.Or(c.Rearm, DefaultRearm)
	c.Resend = cmp.Or(c.Resend, DefaultResend)
	c.Purge = cmp.Or(c.Purge, DefaultPurge)
	c.StuckAfter = cmp.Or(c.StuckAfter, DefaultStuckAfter)
	c.Retention = cmp.Or(c.Retention, DefaultRetention)
	c.DeadRetention = cmp.Or(c.DeadRetention, DefaultDeadRetention)
	c.InboxRetention = cmp.Or(c.InboxRetention, DefaultInboxRetention)
	c.OperationRetention = cmp.Or(c.OperationRetention, DefaultOperationRetention)
	c.StatsRetention = cmp.Or(c.StatsRetention, DefaultStatsRetention)
	c.Batch = cmp.Or(c.Batch, DefaultBatch)
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c
}

func (c Config) validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("retry: Config."+format, args...)) }
	for _, s := range []struct{ field, spec string }{{"Rearm", c.Rearm}, {"Resend", c.Resend}, {"Purge", c.Purge}} {
		if err := checkSpec(s.spec); err != nil {
			bad("%s %.100q is no cron spec: want five fields or \"@every 30s\": %w", s.field, s.spec, err)
		}
	}
	if c.StuckAfter < minStuck || c.StuckAfter > maxStuck {
		bad("StuckAfter is %v: want at least 1s and at most %v", c.StuckAfter, maxStuck)
	}
	if c.Retention < 0 || c.Retention > maxRetention {
		bad("Retention is %v: want 0 (the default) or more, at most %v", c.Retention, maxRetention)
	}
	if c.DeadRetention < 0 || c.DeadRetention > maxRetention {
		bad("DeadRetention is %v: want 0 (the default) or more, at most %v", c.DeadRetention, maxRetention)
	}
	if c.InboxRetention < 0 || c.InboxRetention > maxRetention {
		bad("InboxRetention is %v: want 0 (the default) or more, at most %v", c.InboxRetention, maxRetention)
	}
	if c.OperationRetention < 0 || c.OperationRetention > maxRetention {
		bad("OperationRetention is %v: want 0 (the default) or more, at most %v", c.OperationRetention, maxRetention)
	}
	if c.StatsRetention < 0 || c.StatsRetention > maxRetention {
		bad("StatsRetention is %v: want 0 (the default) or more, at most %v", c.StatsRetention, maxRetention)
	}
	if c.Batch < 1 || c.Batch > 10_000 {
		bad("Batch is %d: want 1 to 10000", c.Batch)
	}
	return errors.Join(errs...)
}

// Far enough from what times and durations can hold.
const (
	minStuck     = time.Second
	maxStuck     = 30 * 24 * time.Hour
	maxRetention = 100 * 365 * 24 * time.Hour
	maxSpec      = 500 // bytes; every minute of an hour by its number takes 169
)

// absent reports whether v is nil or an interface around a nil pointer, of
// which the first call would only panic.
func absent(v any) bool {
	value := reflect.ValueOf(v)
	return v == nil || value.Kind() == reflect.Pointer && value.IsNil()
}

// checkSpec refuses what cron cannot parse (some specs make its parser panic)
// and what never comes, such as 30 February.
func checkSpec(spec string) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("it cannot be parsed: %v", p)
		}
	}()
	// cron's errors repeat the spec, whatever is in it.
	if len(spec) > maxSpec || !utf8.ValidString(spec) || strings.ContainsFunc(spec, unicode.IsControl) {
		return fmt.Errorf("want at most %d bytes of printable UTF-8", maxSpec)
	}
	schedule, err := cron.ParseStandard(spec)
	if err != nil {
		return err
	}
	if schedule.Next(time.Now()).IsZero() {
		return errors.New("its time never comes")
	}
	return nil
}
