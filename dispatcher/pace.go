package dispatcher

import (
	"context"
	"math/rand/v2"
	"time"
)

// eager is the first pause after a wake-up. A job is usually committed within
// a few milliseconds of being enqueued.
const eager = time.Millisecond

// maxTrouble is the longest pause between two attempts while a database or
// broker keeps failing.
const maxTrouble = 5 * time.Second

// pace decides when to look for work next. Whoever holds the turn owns it.
//
// A full batch is followed at once by the next look. An empty one is followed
// by the poll interval, or by a wake-up: a wake-up tells that a job was
// enqueued and is about to be committed, so the looks that follow it come at
// short, doubling pauses until there is something or the interval is reached.
type pace struct {
	interval time.Duration
	pause    time.Duration // before the next look
	trouble  time.Duration // the last pause after a failure
}

func newPace(interval time.Duration) *pace { return &pace{interval: interval} }

// found notes that a look had a batch.
func (p *pace) found(full bool) {
	p.trouble = 0
	p.pause = 0
	if !full {
		p.pause = min(eager, p.interval)
	}
}

// empty notes that a look had nothing.
func (p *pace) empty() {
	p.trouble = 0
	p.pause = min(max(eager, 2*p.pause), p.interval)
}

// wait blocks until it is time to look, and reports false if ctx ended first.
func (p *pace) wait(ctx context.Context, wake <-chan struct{}) bool {
	if p.pause == 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(jitter(p.pause))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-wake:
		p.pause = 0
	case <-timer.C:
	}
	return true
}

// failed blocks for a pause that doubles with each failure in a row.
func (p *pace) failed(ctx context.Context) {
	p.trouble = min(max(100*time.Millisecond, 2*p.trouble), maxTrouble)
	timer := time.NewTimer(jitter(p.trouble))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// jitter spreads d by ±10%, so that several instances do not look in step.
func jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.9 + 0.2*rand.Float64())) //nolint:gosec // spreading load needs no secrecy
}
