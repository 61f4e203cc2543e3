package main

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/outbox"
)

// timed is a dispatcher.Outbox that notes how long its claims take: from the
// call, a connection and BEGIN included, until the jobs are here.
type timed struct {
	*outbox.Store

	mu      sync.Mutex
	batches []batch
	sent    int
	failed  int // calls
}

// batch is a claim that found jobs and whose transitions are committed.
type batch struct {
	claim time.Duration
	jobs  int
	over  time.Time
}

// newTimed makes room for the batches of n jobs, so that its own memory does
// not grow while memory is measured.
func newTimed(store *outbox.Store, n int) *timed {
	return &timed{Store: store, batches: make([]batch, 0, n/200)}
}

// Relay implements dispatcher.Outbox.
func (t *timed) Relay(ctx context.Context, asked core.Claim, publish func(context.Context, []ackbox.Job) []core.Transition) (int, error) {
	began := time.Now()
	var claim time.Duration
	n, err := t.Store.Relay(ctx, asked, func(ctx context.Context, jobs []ackbox.Job) []core.Transition {
		claim = time.Since(began)
		return publish(ctx, jobs)
	})
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case err != nil && ctx.Err() == nil: // not told to stop
		t.failed++
	case err != nil:
	case n > 0:
		t.batches = append(t.batches, batch{claim: claim, jobs: n, over: time.Now()})
		t.sent += n
	}
	return n, err
}

func (t *timed) relayed() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.sent
}

// all returns the batches so far and the number of calls that failed.
func (t *timed) all() ([]batch, int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.batches), t.failed
}

// pace is how the jobs of a slice were relayed.
type relayPace struct {
	rate     float64 // jobs per second
	p50, p99 float64 // of a claim, in ms
	seconds  float64
}

// paceOf looks at the batches by which the jobs from the from-th up to the
// to-th were relayed, in the order of their commits. The first of all began at
// began.
func paceOf(batches []batch, began time.Time, from, to int) relayPace {
	sum, jobs := 0, 0
	start, end := began, began
	var claims []float64
	for _, b := range batches {
		sum += b.jobs
		if sum <= from {
			start, end = b.over, b.over
			continue
		}
		claims = append(claims, milliseconds(b.claim))
		jobs += b.jobs
		end = b.over
		if sum >= to {
			break
		}
	}
	p := relayPace{p50: percentile(claims, 50), p99: percentile(claims, 99), seconds: end.Sub(start).Seconds()}
	if p.seconds > 0 {
		p.rate = float64(jobs) / p.seconds
	}
	return p
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// claimsBetween are the claims, in ms, of batches that ended in [from, to).
func claimsBetween(batches []batch, from, to time.Time) []float64 {
	var claims []float64
	for _, b := range batches {
		if !b.over.Before(from) && b.over.Before(to) {
			claims = append(claims, milliseconds(b.claim))
		}
	}
	return claims
}
