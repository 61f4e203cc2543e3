package dispatcher

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	// eager is the first pause after a wake-up. A job is usually committed
	// within a few milliseconds of being enqueued.
	eager = time.Millisecond
	// calm is the longest pause that wake-ups cannot shorten.
	calm = 20 * time.Millisecond
)

// Pauses between attempts while a database or broker keeps failing.
const (
	minTrouble = 100 * time.Millisecond
	maxTrouble = 5 * time.Second
)

// pace decides when to look for work next. Whoever holds the turn owns it.
//
// A full batch is followed at once by the next look. An empty one is followed
// by the poll interval, or by a wake-up: a wake-up tells that a job was
// enqueued and is about to be committed, so the looks that follow it come at
// short, doubling pauses until there is something or the interval is reached.
// Wake-ups that lead to nothing, one after the other (a long transaction that
// enqueues much, other dispatchers that are quicker), lose their force.
type pace struct {
	interval time.Duration
	pause    time.Duration // before the next look
	deaf     time.Duration // the part of it that a wake-up cannot shorten
}

// found notes that a look had a batch.
func (p *pace) found(full bool) {
	p.pause, p.deaf = 0, 0
	if !full {
		p.pause = min(eager, p.interval)
	}
}

// empty notes that a look had nothing.
func (p *pace) empty() {
	p.deaf = min(max(eager, 2*p.deaf), calm, p.interval)
	p.pause = min(max(eager, 2*p.pause, p.deaf), p.interval)
}

// wait blocks until it is time to look, and reports false if ctx ended first.
func (p *pace) wait(ctx context.Context, wake <-chan struct{}) bool {
	pause := jitter(p.pause)
	if !sleep(ctx, min(p.deaf, pause)) {
		return false
	}
	timer := time.NewTimer(pause - min(p.deaf, pause))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-wake:
		p.pause = 0
	case <-timer.C:
		if p.pause == p.interval {
			p.deaf = 0 // it has been quiet: the next wake-up means something
		}
	}
	return ctx.Err() == nil
}

// sleep waits for d and reports false if ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// jitter spreads d by ±10%, so that several instances do not look in step.
func jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.9 + 0.2*rand.Float64())) //nolint:gosec // spreading load needs no secrecy
}
