package worker

import (
	"context"
	"log/slog"
	"time"
)

// lookInterval is how often handlers that are overdue are looked for, and how
// long a delivery may be in hand before the ledger is told: most are done by
// then and cost nothing.
const lookInterval = time.Second

// watch vouches for what is in hand and reports handlers that ignore their
// timeout, until ctx ends.
func (r *run) watch(ctx context.Context) {
	interval := time.NewTicker(r.cfg.VouchInterval)
	defer interval.Stop()
	look := time.NewTicker(lookInterval)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			// What goes back to the queue was here until now.
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastVouchTimeout)
			defer cancel()
			r.vouch(last, false)
			return
		case <-interval.C:
			r.vouch(ctx, true)
		case <-look.C:
			r.reportLate(ctx)
			r.vouch(ctx, false)
		case <-r.kick:
			r.vouch(ctx, false)
			sleep(ctx, minPause) // the least time between two of these
		}
	}
}

// lastVouchTimeout bounds the last word to the ledger.
const lastVouchTimeout = 2 * time.Second

// vouchNow asks watch to vouch without waiting for its interval.
func (r *run) vouchNow() {
	select {
	case r.kick <- struct{}{}:
	default:
	}
}

// vouch tells the ledger what is in hand: all of it, or what it has to hear
// sooner than by interval.
func (r *run) vouch(ctx context.Context, all bool) {
	if !r.held.any() {
		return
	}
	bounded, cancel := context.WithTimeout(ctx, ledgerTimeout)
	defer cancel()
	var jobs []*inHand
	var ids []string
	ledger, err := r.identity(bounded)
	if err == nil {
		jobs, ids = r.held.toVouch(ledger, all)
		for _, h := range jobs {
			ids = append(ids, h.ID)
		}
		if len(ids) == 0 {
			return
		}
		err = r.ledger.Vouch(bounded, ids)
	}
	if err == nil {
		r.held.heard(jobs)
		r.mute = false
		return
	}
	if !r.mute && ctx.Err() == nil { // once for each outage
		r.mute = true
		r.cfg.Logger.WarnContext(ctx, "worker: cannot vouch for the jobs in hand; trying again", "jobs", len(ids), "error", err)
	}
}

func (r *run) reportLate(ctx context.Context) {
	for _, h := range r.held.late() {
		r.cfg.Logger.LogAttrs(ctx, slog.LevelError, "worker: a handler ignores its timeout and keeps its slot",
			slog.String("kind", h.Kind), slog.String("id", h.ID), slog.String("queue", h.Queue),
			slog.Int("attempt", h.Attempt), slog.Duration("timeout", r.entries[h.Kind].Timeout))
	}
}
