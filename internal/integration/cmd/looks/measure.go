//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"gorm.io/gorm"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/outbox"
)

// look is one read of a page.
type look struct {
	name string
	read func(context.Context) (found int, err error)
}

// pageSize is what a page shows.
const pageSize = 50

func looks(ctx context.Context, s *outbox.Store, db *gorm.DB) ([]look, error) {
	list := func(f outbox.Filter) func(context.Context) (int, error) {
		return func(ctx context.Context) (int, error) {
			page, err := s.List(ctx, f, "", pageSize)
			return len(page.Entries), err
		}
	}
	count := func(f outbox.Filter) func(context.Context) (int, error) {
		return func(ctx context.Context) (int, error) {
			c, err := s.Count(ctx, f)
			return c.N, err
		}
	}
	var ids []string
	if err := db.WithContext(ctx).Raw("SELECT id FROM ackbox_jobs TABLESAMPLE SYSTEM (1) LIMIT 1000").Scan(&ids).Error; err != nil {
		return nil, err
	}
	var newest int64
	if err := db.WithContext(ctx).Raw("SELECT coalesce(max(substr(key, 7)::bigint), 1) FROM (SELECT key FROM ackbox_jobs WHERE key IS NOT NULL ORDER BY id DESC LIMIT 1000) AS k").Scan(&newest).Error; err != nil {
		return nil, err
	}
	anyKey := func() string { return fmt.Sprint("order:", rand.Int64N(newest)) } //nolint:gosec // nothing is secret
	all := []look{
		{"Get", func(ctx context.Context) (int, error) {
			_, err := s.Get(ctx, ids[rand.IntN(len(ids))]) //nolint:gosec // likewise
			return 1, err
		}},
		{"QueueStatus", func(ctx context.Context) (int, error) {
			q, err := s.QueueStatus(ctx)
			return len(q), err
		}},
		{"GivenUp", func(ctx context.Context) (int, error) {
			g, _, err := s.GivenUp(ctx, outbox.Filter{})
			return len(g), err
		}},
		{"GivenUp of a kind", func(ctx context.Context) (int, error) {
			g, _, err := s.GivenUp(ctx, outbox.Filter{Kind: "kind.16"})
			return len(g), err
		}},
		{"GivenUp of the last hour", func(ctx context.Context) (int, error) {
			g, _, err := s.GivenUp(ctx, outbox.Filter{After: time.Now().Add(-time.Hour)})
			return len(g), err
		}},
		{"List all", list(outbox.Filter{})},
		{"List by key", func(ctx context.Context) (int, error) { return list(outbox.Filter{Key: anyKey()})(ctx) }},
		{"Count by key", func(ctx context.Context) (int, error) { return count(outbox.Filter{Key: anyKey()})(ctx) }},
		{"List running", list(outbox.Filter{Running: true})},
		{"List dead, the thousandth page", deep(s, outbox.Filter{State: ackbox.Dead}, 50)},
		{"List pending, the hundredth page", deep(s, outbox.Filter{State: ackbox.Pending}, 5)},
		{"List all of no such kind", list(outbox.Filter{Kind: "none"})},
		{"List all by error", list(outbox.Filter{Error: "no such order: 77"})},
		{"List dead by error", list(outbox.Filter{State: ackbox.Dead, Error: "no such order: 77"})},
		{"List dead by an error that none has", list(outbox.Filter{State: ackbox.Dead, Error: "zzz"})},
		{"List dead before three days ago", list(outbox.Filter{State: ackbox.Dead, Before: time.Now().Add(-72 * time.Hour)})},
		{"List done of no such kind", list(outbox.Filter{State: ackbox.Done, Kind: "none"})},
		{"Count all", count(outbox.Filter{})},
		{"Count all of no such kind", count(outbox.Filter{Kind: "none"})},
		{"Count dead by error", count(outbox.Filter{State: ackbox.Dead, Error: "no such order"})},
	}
	for _, state := range ackbox.States() {
		all = append(all,
			look{"List " + string(state), list(outbox.Filter{State: state})},
			look{"List " + string(state) + " of a queue", list(outbox.Filter{State: state, Queue: "q7"})},
			look{"List " + string(state) + " of a queue and a kind", list(outbox.Filter{State: state, Queue: "q7", Kind: "kind.16"})},
			look{"Count " + string(state), count(outbox.Filter{State: state})},
			look{"Count " + string(state) + " of a queue", count(outbox.Filter{State: state, Queue: "q7"})},
		)
	}
	return all, nil
}

// deep reads a page far down in a list, which it walks to once by pages of 1,000.
func deep(s *outbox.Store, f outbox.Filter, pages int) func(context.Context) (int, error) {
	after := ""
	return func(ctx context.Context) (int, error) {
		for ; pages > 0; pages-- {
			page, err := s.List(ctx, f, after, 1000)
			if err != nil {
				return 0, err
			}
			after = page.Next
		}
		page, err := s.List(ctx, f, after, pageSize)
		return len(page.Entries), err
	}
}

func measure(ctx context.Context, s *outbox.Store, db *gorm.DB, o options) error {
	all, err := looks(ctx, s, db)
	if err != nil {
		return err
	}
	fmt.Printf("| read | rows | best ms | p50 ms | p99 ms |\n|---|---|---|---|---|\n")
	var slow []string
	for _, l := range all {
		found, took, err := timed(ctx, l, o.runs)
		if err != nil {
			return fmt.Errorf("%s: %w", l.name, err)
		}
		p50, p99 := took[len(took)/2], took[len(took)*99/100]
		fmt.Printf("| %s | %d | %.1f | %.1f | %.1f |\n", l.name, found, ms(took[0]), ms(p50), ms(p99))
		if p99 > o.limit {
			slow = append(slow, l.name)
		}
	}
	if err := measurePages(ctx, s, db, o); err != nil {
		return err
	}
	if err := beside(ctx, s, all, o); err != nil {
		return err
	}
	if len(slow) > 0 {
		return fmt.Errorf("above %v: %q", o.limit, slow)
	}
	return nil
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// timed returns how long a read took each time, in order, after two that are not counted.
func timed(ctx context.Context, l look, runs int) (found int, took []time.Duration, err error) {
	for i := range runs + 2 {
		began := time.Now()
		if found, err = l.read(ctx); err != nil {
			return 0, nil, err
		}
		if i >= 2 {
			took = append(took, time.Since(began))
		}
	}
	slices.Sort(took)
	return found, took, nil
}

// beside measures how fast jobs are worked off, alone and while somebody reads one page
// after the other.
func beside(ctx context.Context, s *outbox.Store, all []look, o options) error {
	alone, err := drain(ctx, s, o.seconds)
	if err != nil {
		return err
	}
	reading, stop := context.WithCancel(ctx)
	defer stop()
	var wg sync.WaitGroup
	var took []time.Duration
	wg.Go(func() {
		every := time.NewTicker(200 * time.Millisecond)
		defer every.Stop()
		for i := 0; ; i++ {
			select {
			case <-reading.Done():
				return
			case <-every.C:
			}
			began := time.Now()
			if _, err := all[i%len(all)].read(reading); err == nil {
				took = append(took, time.Since(began))
			}
		}
	})
	with, err := drain(ctx, s, o.seconds)
	stop()
	wg.Wait()
	if err != nil {
		return err
	}
	slices.Sort(took)
	fmt.Printf("\nworked off: %.0f jobs/s alone, %.0f jobs/s beside five reads a second (%d reads, p50 %.1f ms, p99 %.1f ms)\n",
		alone, with, len(took), ms(took[len(took)/2]), ms(took[len(took)*99/100]))
	return nil
}

// drain takes due jobs on their way and finishes them, as a dispatcher and a worker do
// without a broker between them, and returns how many a second.
func drain(ctx context.Context, s *outbox.Store, seconds float64) (float64, error) {
	began, n := time.Now(), 0
	for time.Since(began).Seconds() < seconds {
		var done []core.Transition
		claimed, err := s.Relay(ctx, core.Claim{Limit: 256}, func(_ context.Context, jobs []ackbox.Job) []core.Transition {
			sent := make([]core.Transition, len(jobs))
			for i, job := range jobs {
				sent[i] = core.Transition{ID: job.ID, Attempt: job.Attempt, To: ackbox.Sent}
				if job.Queue != "" {
					done = append(done, core.Transition{ID: job.ID, Attempt: job.Attempt, To: ackbox.Done})
				}
			}
			return sent
		})
		if err != nil {
			return 0, err
		}
		if claimed == 0 { // what has been due for long is looked for in parts, see Relay
			select {
			case <-ctx.Done():
				return 0, ctx.Err()
			case <-time.After(5 * time.Millisecond):
			}
			continue
		}
		if _, err := s.Finish(ctx, done); err != nil {
			return 0, err
		}
		n += claimed
	}
	if n == 0 {
		return 0, errors.New("no job was due")
	}
	return float64(n) / time.Since(began).Seconds(), nil
}
