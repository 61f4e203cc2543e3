package retry

import (
	"context"
	"time"

	"github.com/ackbox/ackbox/internal/beat"
	"github.com/ackbox/ackbox/internal/core"
)

// presence is what a running Sweeper does beside its schedules: it says that it lives,
// takes jobs back from instances that do so no more, and tells whose jobs nobody takes.
// It has a goroutine of its own: a death is to be noticed however long a sweep takes.
type presence struct {
	*Sweeper
	heart  *beat.Heart
	looked time.Time            // when queues were last looked at
	said   map[string]time.Time // of which queue people were last told, and when
	failed time.Time            // when a failure was last told
}

const (
	// unattendedInterval is how often queues are looked at of which nobody takes jobs.
	unattendedInterval = time.Minute
	// unattendedNotice is how often the same queue is told.
	unattendedNotice = 10 * time.Minute
	// failureNotice is how often it is told that the ledger cannot be reached.
	failureNotice = time.Minute
)

func newPresence(s *Sweeper) *presence {
	heart := beat.New(s.store, core.RoleSweeper, nil, nil)
	s.heart.Store(heart)
	return &presence{
		Sweeper: s,
		heart:   heart,
		looked:  time.Now(),
		said:    make(map[string]time.Time),
	}
}

// run goes on until ctx ends, and then says so.
func (p *presence) run(ctx context.Context) {
	_, err := p.heart.Beat(ctx)
	p.heard(ctx, err)
	p.heart.Run(ctx, func(ctx context.Context, _ beat.Heard, err error) { p.heard(ctx, err) })
	if err := p.heart.Leave(ctx); err != nil {
		p.cfg.Logger.WarnContext(ctx, "retry: the ledger cannot be told that this sweeper has ended; it will be taken for dead instead", "error", err)
	}
}

// heard does what is due after a beat, if that came through.
func (p *presence) heard(ctx context.Context, err error) {
	if err != nil {
		p.fail(ctx, "the ledger cannot be told that this sweeper lives", err)
		return
	}
	p.takeBack(ctx)
	if time.Since(p.looked) >= unattendedInterval {
		p.looked = time.Now()
		p.tellUnattended(ctx)
	}
}

// takeBack takes from dead instances what they had in hand. A dead instance has few
// jobs as a rule; of one with many the rest is taken at the next beat at the latest.
func (p *presence) takeBack(ctx context.Context) {
	total := 0
	for began := time.Now(); time.Since(began) < core.BeatInterval; {
		n, err := p.store.TakeBack(ctx, p.cfg.Batch)
		total += n
		if err != nil {
			p.fail(ctx, "jobs of dead instances cannot be taken back", err)
			break
		}
		if n < p.cfg.Batch {
			break
		}
	}
	if total > 0 {
		p.cfg.Logger.InfoContext(ctx, "retry: jobs were taken back from instances that left or fell silent", "jobs", total)
	}
}

// tellUnattended tells of queues with old jobs that nobody takes.
func (p *presence) tellUnattended(ctx context.Context) {
	queues, err := p.store.Unattended(ctx)
	if err != nil {
		p.fail(ctx, "the ledger cannot be asked for jobs that nobody takes", err)
		return
	}
	for _, q := range queues {
		if time.Since(p.said[q.Queue]) < unattendedNotice {
			continue
		}
		p.said[q.Queue] = time.Now()
		if q.Due > 0 {
			p.cfg.Logger.WarnContext(ctx, "retry: jobs are due for over a minute and none is published: no dispatcher runs, or the broker takes nothing for the queue", "queue", nameOf(q.Queue), "jobs", q.Due)
		}
		if q.Sent > 0 {
			p.cfg.Logger.WarnContext(ctx, "retry: jobs were sent to a queue that no living worker consumes", "queue", nameOf(q.Queue), "jobs", q.Sent)
		}
	}
	for queue, at := range p.said { // queues come and go
		if time.Since(at) >= unattendedNotice {
			delete(p.said, queue)
		}
	}
}

func (p *presence) fail(ctx context.Context, what string, err error) {
	if ctx.Err() != nil || !p.failed.IsZero() && time.Since(p.failed) < failureNotice {
		return
	}
	p.failed = time.Now()
	p.cfg.Logger.WarnContext(ctx, "retry: "+what+"; trying again", "error", err) //nolint:sloglint // its callers pass constants
}
