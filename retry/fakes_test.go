package retry_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/retry"
)

// store is a Store made of functions; nil ones find nothing. Its queues have
// nacked and finished jobs; it has the queue "q" if none are named.
type store struct {
	queues     []string
	rearm      func(ctx context.Context, queue string, limit int) (int, error)
	purge      func(ctx context.Context, queue string, retention time.Duration, limit int) (int, error)
	purgeDead  func(ctx context.Context, retention time.Duration, limit int) (int, error)
	purgeInbox func(ctx context.Context, retention time.Duration, limit int) (int, error)
	purgeStats func(ctx context.Context, step, retention time.Duration, limit int) (int, error)
	ages       func(ctx context.Context) ([]core.QueueAge, error)
	resend     func(ctx context.Context, queue string, before time.Time, idle time.Duration, limit int) (int, error)

	beat     func(core.Instance) error
	leave    func(id string) error
	takeBack func(limit int) (int, error)

	carryOn         func(limit int) (int, bool, error)
	purgeOperations func(retention time.Duration, limit int) (int, error)

	unattended func() ([]core.Unattended, error)
}

func (s *store) Beat(_ context.Context, instance core.Instance) (core.Census, error) {
	if s.beat == nil {
		return core.Census{Sweepers: 1}, nil
	}
	return core.Census{Sweepers: 1}, s.beat(instance)
}

func (s *store) Leave(_ context.Context, id string) error {
	if s.leave == nil {
		return nil
	}
	return s.leave(id)
}

func (s *store) PurgeStats(ctx context.Context, step, retention time.Duration, limit int) (int, error) {
	if s.purgeStats == nil {
		return 0, nil
	}
	return s.purgeStats(ctx, step, retention, limit)
}

func (s *store) TakeBack(_ context.Context, limit int) (int, error) {
	if s.takeBack == nil {
		return 0, nil
	}
	return s.takeBack(limit)
}

func (s *store) Unattended(context.Context) ([]core.Unattended, error) {
	if s.unattended == nil {
		return nil, nil
	}
	return s.unattended()
}

func (s *store) NackedQueues(context.Context) ([]string, error) {
	if s.queues == nil {
		return []string{"q"}, nil
	}
	return s.queues, nil
}

func (s *store) FinishedQueues(ctx context.Context) ([]string, error) { return s.NackedQueues(ctx) }

func (s *store) Rearm(ctx context.Context, queue string, limit int) (int, error) {
	if s.rearm == nil {
		return 0, nil
	}
	return s.rearm(ctx, queue, limit)
}

func (s *store) Purge(ctx context.Context, queue string, retention time.Duration, limit int) (int, error) {
	if s.purge == nil {
		return 0, nil
	}
	return s.purge(ctx, queue, retention, limit)
}

func (s *store) PurgeDead(ctx context.Context, retention time.Duration, limit int) (int, error) {
	if s.purgeDead == nil {
		return 0, nil
	}
	return s.purgeDead(ctx, retention, limit)
}

func (s *store) PurgeInbox(ctx context.Context, retention time.Duration, limit int) (int, error) {
	if s.purgeInbox == nil {
		return 0, nil
	}
	return s.purgeInbox(ctx, retention, limit)
}

func (s *store) CarryOn(_ context.Context, limit int) (int, bool, error) {
	if s.carryOn == nil {
		return 0, false, nil
	}
	return s.carryOn(limit)
}

func (s *store) PurgeOperations(_ context.Context, retention time.Duration, limit int) (int, error) {
	if s.purgeOperations == nil {
		return 0, nil
	}
	return s.purgeOperations(retention, limit)
}

func (s *store) Ages(ctx context.Context) ([]core.QueueAge, error) {
	if s.ages == nil {
		return nil, nil
	}
	return s.ages(ctx)
}

func (s *store) Resend(ctx context.Context, queue string, before time.Time, idle time.Duration, limit int) (int, error) {
	if s.resend == nil {
		return 0, nil
	}
	return s.resend(ctx, queue, before, idle, limit)
}

// waiting is a Broker made of a function.
type waiting func(queue string) (int, error)

func (w waiting) Waiting(_ context.Context, queue string) (int, error) { return w(queue) }

func nothingWaits(string) (int, error) { return 0, nil }

func newSweeper(t *testing.T, s retry.Store, b retry.Broker, cfg retry.Config) *retry.Sweeper {
	t.Helper()
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return must[*retry.Sweeper](t)(retry.NewSweeper(s, b, cfg))
}

// partitions is a Store with Partitions, made of functions.
type partitions struct {
	store
	make func(ahead int) (int, error)
	drop func(retention time.Duration) ([]string, map[string]string, error)
}

func (p *partitions) MakePartitions(_ context.Context, ahead int) (int, error) { return p.make(ahead) }

func (p *partitions) DropPartitions(_ context.Context, retention time.Duration) ([]string, map[string]string, error) {
	return p.drop(retention)
}
