package worker

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/ackbox/ackbox/internal/core"
)

// Pauses between attempts while database or broker keep failing.
const (
	minPause = 100 * time.Millisecond
	maxPause = 5 * time.Second
)

// Pauses before the ledger is asked again for a row that somebody has locked.
const (
	minBusy = 2 * time.Millisecond
	maxBusy = 100 * time.Millisecond
)

// ledgerTimeout bounds each call of the ledger, should it have no bound of its
// own.
const ledgerTimeout = 30 * time.Second

// sleep waits for d and reports false if ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// jitter spreads d by ±20%.
func jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.8 + 0.4*rand.Float64())) //nolint:gosec // spreading load needs no secrecy
}

// returned reports whether d was in somebody's hands before.
func returned(d core.Delivery) bool { return d.Redelivered || d.Returns > 0 }
