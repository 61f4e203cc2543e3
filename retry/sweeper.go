package retry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/ackbox/ackbox/internal/beat"
)

// Sweeper runs the sweeps of one jobs table. Run it in every instance: sweeps
// of several instances do not disturb each other.
type Sweeper struct {
	store  Store
	broker Broker
	cfg    Config
	life   beat.Life
	heart  atomic.Pointer[beat.Heart] // of the last Run

	mu       sync.Mutex // serialises Resend, guards suspects
	suspects map[string]suspicion
}

// NewSweeper returns a Sweeper. It does no I/O and starts nothing. It fails on
// a nil store or broker, and on every bad field of cfg, by name.
func NewSweeper(store Store, broker Broker, cfg Config) (*Sweeper, error) {
	switch {
	case absent(store):
		return nil, errors.New("retry: the store is nil: pass an *outbox.Store")
	case absent(broker):
		return nil, errors.New("retry: the broker is nil: pass a *rabbitmq.Broker or *memory.Broker")
	}
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	return &Sweeper{store: store, broker: broker, cfg: cfg, suspects: make(map[string]suspicion)}, nil
}

// Run runs the sweeps by their schedules until ctx ends, and beside them, every 3 s,
// carries on what people have begun (see [Sweeper.CarryOn]) and takes back what dead instances had in hand; it says which queues have old jobs that
// nobody takes. Then it waits for the
// statements in hand (the store bounds them) and returns nil. A failing or
// panicking sweep is logged and runs again at its next time. A sweep that is
// still running at its next time is not started twice. It returns an error if
// the Sweeper runs already.
func (s *Sweeper) Run(ctx context.Context) error {
	if !s.life.Begin() {
		return errors.New("retry: Run was called while it runs already")
	}
	defer s.life.End()

	logger := cronLog{s.cfg.Logger}
	// Recover is inside: cron's SkipIfStillRunning never again runs what has
	// panicked through it.
	c := cron.New(cron.WithLogger(logger), cron.WithChain(cron.SkipIfStillRunning(logger), cron.Recover(logger)))
	for _, sweep := range []struct {
		name, spec string
		run        func(context.Context) (int, error)
	}{
		{"rearm", s.cfg.Rearm, s.Rearm},
		{"resend", s.cfg.Resend, s.Resend},
		{"purge", s.cfg.Purge, s.Purge},
		{"operations", operationsSpec, s.CarryOn},
	} {
		_, err := c.AddFunc(sweep.spec, func() {
			n, err := sweep.run(ctx)
			switch {
			case err != nil && ctx.Err() != nil: // stopped, not failed
			case err != nil:
				s.cfg.Logger.ErrorContext(ctx, "retry: a sweep failed; it runs again at its next time", "sweep", sweep.name, "jobs", n, "error", err)
			case n > 0:
				s.cfg.Logger.InfoContext(ctx, "retry: sweep", "sweep", sweep.name, "jobs", n)
			}
		})
		if err != nil {
			return fmt.Errorf("retry: schedule the %s sweep: %w", sweep.name, err)
		}
	}
	s.cfg.Logger.InfoContext(ctx, "retry: sweeper started", "rearm", s.cfg.Rearm, "resend", s.cfg.Resend, "purge", s.cfg.Purge)
	c.Start()
	newPresence(s).run(ctx)
	<-c.Stop().Done()
	s.cfg.Logger.InfoContext(ctx, "retry: sweeper stopped")
	return nil
}

// Rearm makes every nacked job whose time has come publishable again, now, and
// returns how many. It goes on until none is left or ctx ends, each queue in its
// turn. Run does it by schedule.
func (s *Sweeper) Rearm(ctx context.Context) (int, error) {
	return s.sweep(ctx, "rearm", ofQueues(s.store.NackedQueues, func(ctx context.Context, queue string) (int, error) {
		return s.store.Rearm(ctx, queue, s.cfg.Batch)
	}))
}

// Purge deletes every row that is past its retention, now, and returns how
// many. It goes on until none is left or ctx ends, each queue in its turn. Run
// does it by schedule. Of a Store that is [Partitions] it makes those of the next
// three days and drops those past Config.Retention first, and logs what it did;
// if that fails, rows are deleted all the same.
func (s *Sweeper) Purge(ctx context.Context) (int, error) {
	partitionsErr := s.partitions(ctx)
	finished := ofQueues(s.store.FinishedQueues, func(ctx context.Context, queue string) (int, error) {
		return s.store.Purge(ctx, queue, s.cfg.Retention, s.cfg.Batch)
	})
	dead := turn{"dead jobs", func(ctx context.Context) (int, error) {
		return s.store.PurgeDead(ctx, s.cfg.DeadRetention, s.cfg.Batch)
	}}
	inbox := turn{"the inbox", func(ctx context.Context) (int, error) {
		return s.store.PurgeInbox(ctx, s.cfg.InboxRetention, s.cfg.Batch)
	}}
	operations := turn{"operations", func(ctx context.Context) (int, error) {
		return s.store.PurgeOperations(ctx, s.cfg.OperationRetention, s.cfg.Batch)
	}}
	minutes := turn{"statistics by minutes", func(ctx context.Context) (int, error) {
		return s.store.PurgeStats(ctx, time.Minute, min(minuteStatsRetention, s.cfg.StatsRetention), s.cfg.Batch)
	}}
	hours := turn{"statistics by hours", func(ctx context.Context) (int, error) {
		return s.store.PurgeStats(ctx, time.Hour, s.cfg.StatsRetention, s.cfg.Batch)
	}}
	n, err := s.sweep(ctx, "purge", func(ctx context.Context) ([]turn, error) {
		turns, err := finished(ctx)
		return append(turns, dead, inbox, operations, minutes, hours), err
	})
	return n, errors.Join(partitionsErr, err)
}

// partitions makes and drops the store's partitions, if it has any.
func (s *Sweeper) partitions(ctx context.Context) error {
	store, ok := s.store.(Partitions)
	if !ok {
		return nil
	}
	if ctx.Err() != nil {
		return nil //nolint:nilerr // told to stop, not failed
	}
	work := context.WithoutCancel(ctx) // the store bounds it
	// This may read for minutes; it leaves nothing behind when it is told to stop.
	made, err := store.MakePartitions(ctx, partitionsAhead)
	if ctx.Err() != nil {
		return nil //nolint:nilerr // as above
	}
	dropped, kept, dropErr := store.DropPartitions(work, s.cfg.Retention)
	// What is kept is no news every minute: it is told beside what has changed.
	if made > 0 || len(dropped) > 0 {
		s.cfg.Logger.InfoContext(ctx, "retry: partitions", "made", made, "dropped", dropped, "kept", kept)
	}
	return errors.Join(err, dropErr)
}

// cronLog is what cron logs to. Its routine messages are left out.
type cronLog struct{ logger *slog.Logger }

// Info implements cron.Logger.
func (cronLog) Info(string, ...any) {}

// Error implements cron.Logger.
func (l cronLog) Error(err error, msg string, keysAndValues ...any) {
	l.logger.Error("retry: cron", append([]any{"event", msg, "error", err}, keysAndValues...)...)
}
