package retry

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// Policy decides how long a job waits after its attempt-th try has failed
// (attempt counts from 1; lower counts as 1). Policies are immutable and safe
// for concurrent use.
type Policy interface {
	Next(attempt int) time.Duration
}

// Default is the policy used where none is given: 1 s, 2 s, 4 s, … up to one
// hour, ±20%. Ten tries span about 9 minutes.
var Default Policy = exponential{first: time.Second, limit: time.Hour, jitter: 0.2}

// Exponential returns a policy that waits first, then twice as long each time,
// until that reaches limit. jitter (0 to 1) then spreads each wait evenly over
// that share of itself to both sides (so also above limit), that jobs which
// failed together do not come back together; 0.2 is a good value. It fails if first or limit is not positive,
// limit is below first, or jitter is out of range.
func Exponential(first, limit time.Duration, jitter float64) (Policy, error) {
	switch {
	case first <= 0:
		return nil, fmt.Errorf("retry: Exponential: first is %v: want more than 0", first)
	case limit < first:
		return nil, fmt.Errorf("retry: Exponential: limit is %v: want at least first, %v", limit, first)
	case math.IsNaN(jitter) || jitter < 0 || jitter > 1:
		return nil, fmt.Errorf("retry: Exponential: jitter is %v: want 0 to 1", jitter)
	}
	return exponential{first, limit, jitter}, nil
}

type exponential struct {
	first, limit time.Duration
	jitter       float64
}

// Next implements Policy.
func (p exponential) Next(attempt int) time.Duration {
	wait := p.limit
	// Doubling is left off before it could overflow.
	if n := max(attempt, 1) - 1; n < 62 && p.first <= p.limit>>n {
		wait = p.first << n
	}
	if p.jitter == 0 {
		return wait
	}
	spread := 1 + p.jitter*(2*rand.Float64()-1) //nolint:gosec // spreading load needs no secrecy
	scaled := float64(wait) * spread
	if scaled >= math.MaxInt64 {
		return math.MaxInt64
	}
	return time.Duration(scaled)
}

// Fixed returns a policy that always waits d. It fails if d is negative.
func Fixed(d time.Duration) (Policy, error) {
	if d < 0 {
		return nil, fmt.Errorf("retry: Fixed: the wait is %v: want 0 or more", d)
	}
	return steps{d}, nil
}

// Steps returns a policy that waits the first duration after the first try,
// the second after the second and so on, and the last from then on. It fails
// without any duration or with a negative one.
func Steps(waits ...time.Duration) (Policy, error) {
	if len(waits) == 0 {
		return nil, errors.New("retry: Steps: want at least one wait")
	}
	for i, d := range waits {
		if d < 0 {
			return nil, fmt.Errorf("retry: Steps: wait %d is %v: want 0 or more", i, d)
		}
	}
	return append(steps(nil), waits...), nil
}

type steps []time.Duration

// Next implements Policy.
func (s steps) Next(attempt int) time.Duration {
	return s[min(max(attempt, 1), len(s))-1]
}
