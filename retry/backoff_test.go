package retry_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/ackbox/ackbox/retry"
)

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func TestPolicies(t *testing.T) {
	t.Parallel()
	exponential := must[retry.Policy](t)(retry.Exponential(time.Second, time.Minute, 0))
	fixed := must[retry.Policy](t)(retry.Fixed(time.Minute))
	waits := []time.Duration{time.Second, 0, time.Hour}
	steps := must[retry.Policy](t)(retry.Steps(waits...))
	waits[0] = 0 // the policy has its own copy
	huge := must[retry.Policy](t)(retry.Exponential(1, math.MaxInt64, 0))
	tests := []struct {
		name    string
		policy  retry.Policy
		attempt int
		want    time.Duration
	}{
		{"exponential", exponential, math.MinInt, time.Second},
		{"exponential", exponential, 0, time.Second},
		{"exponential", exponential, 1, time.Second},
		{"exponential", exponential, 2, 2 * time.Second},
		{"exponential", exponential, 6, 32 * time.Second},
		{"exponential", exponential, 7, time.Minute},
		{"exponential", exponential, math.MaxInt, time.Minute},
		{"fixed", fixed, -1, time.Minute},
		{"fixed", fixed, 1, time.Minute},
		{"fixed", fixed, math.MaxInt, time.Minute},
		{"steps", steps, 0, time.Second},
		{"steps", steps, 1, time.Second},
		{"steps", steps, 2, 0},
		{"steps", steps, 3, time.Hour},
		{"steps", steps, math.MaxInt, time.Hour},
		{"huge", huge, 62, 1 << 61},
		{"huge", huge, 63, math.MaxInt64},
		{"huge", huge, 64, math.MaxInt64},
	}
	for _, tt := range tests {
		if got := tt.policy.Next(tt.attempt); got != tt.want {
			t.Errorf("%s: after try %d: %v, want %v", tt.name, tt.attempt, got, tt.want)
		}
	}
}

func TestJitterIsSpreadOverItsRange(t *testing.T) {
	t.Parallel()
	low, high := time.Duration(math.MaxInt64), time.Duration(0)
	for range 2000 {
		d := retry.Default.Next(1)
		low, high = min(low, d), max(high, d)
	}
	if low < 800*time.Millisecond || low > 850*time.Millisecond || high > 1200*time.Millisecond || high < 1150*time.Millisecond {
		t.Errorf("waits from %v to %v, want 0.8s to 1.2s", low, high)
	}
}

func TestDefaultSpansMinutes(t *testing.T) {
	t.Parallel()
	var sum time.Duration
	for attempt := 1; attempt < 10; attempt++ {
		sum += retry.Default.Next(attempt)
	}
	if sum < 6*time.Minute || sum > 11*time.Minute {
		t.Errorf("ten tries span %v, documented are about 9 minutes", sum)
	}
}

func TestConstructorsRefuse(t *testing.T) {
	t.Parallel()
	errOf := func(_ retry.Policy, err error) error { return err }
	tests := []struct {
		err  error
		want string
	}{
		{errOf(retry.Exponential(0, time.Second, 0)), "first is 0s"},
		{errOf(retry.Exponential(-1, time.Second, 0)), "first is -1ns"},
		{errOf(retry.Exponential(time.Minute, time.Second, 0)), "limit is 1s: want at least first, 1m0s"},
		{errOf(retry.Exponential(1, 1, -0.1)), "jitter is -0.1"},
		{errOf(retry.Exponential(1, 1, 1.1)), "jitter is 1.1"},
		{errOf(retry.Exponential(1, 1, math.NaN())), "jitter is NaN"},
		{errOf(retry.Fixed(-1)), "Fixed: the wait is -1ns"},
		{errOf(retry.Steps()), "want at least one wait"},
		{errOf(retry.Steps(0, -1)), "wait 1 is -1ns"},
	}
	for _, tt := range tests {
		if tt.err == nil || !strings.Contains(tt.err.Error(), tt.want) {
			t.Errorf("got %v, want an error that says %q", tt.err, tt.want)
		}
	}
}

func FuzzExponential(f *testing.F) {
	f.Add(int64(time.Second), int64(time.Hour), 0.2, 3)
	f.Add(int64(1), int64(math.MaxInt64), 1.0, 64)
	f.Add(int64(math.MaxInt64), int64(math.MaxInt64), 1.0, math.MaxInt)
	f.Add(int64(3), int64(1<<62), 0.5, 62)
	f.Fuzz(func(t *testing.T, first, limit int64, jitter float64, attempt int) {
		p, err := retry.Exponential(time.Duration(first), time.Duration(limit), jitter)
		if err != nil {
			if first > 0 && limit >= first && jitter >= 0 && jitter <= 1 {
				t.Errorf("Exponential(%d, %d, %v) is refused: %v", first, limit, jitter, err)
			}
			return
		}
		got := float64(p.Next(attempt))
		lowest, highest := float64(first)*(1-jitter), float64(limit)*(1+jitter)
		if got < 0 || got < math.Floor(lowest) || got > math.Min(highest, math.MaxInt64) {
			t.Errorf("Exponential(%d, %d, %v) after try %d: %v is not within %v and %v", first, limit, jitter, attempt, got, lowest, highest)
		}
		bare, err := retry.Exponential(time.Duration(first), time.Duration(limit), 0)
		if err != nil {
			t.Fatal(err)
		}
		if d := bare.Next(attempt); d < time.Duration(first) || d > time.Duration(limit) {
			t.Errorf("without jitter %v is not within %d and %d", d, first, limit)
		}
		if attempt < math.MaxInt && bare.Next(attempt+1) < bare.Next(attempt) {
			t.Errorf("waits shrink after try %d", attempt)
		}
	})
}
