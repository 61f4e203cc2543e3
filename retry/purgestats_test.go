package retry_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ackbox/ackbox/retry"
)

// Statistics are purged with the rest: those by minutes after 26 hours at most.
func TestPurgeStats(t *testing.T) {
	t.Parallel()
	for retention, want := range map[time.Duration][]string{
		0:              {"1h0m0s 744h0m0s 7", "1m0s 26h0m0s 7"},
		48 * time.Hour: {"1h0m0s 48h0m0s 7", "1m0s 26h0m0s 7"},
		3 * time.Hour:  {"1h0m0s 3h0m0s 7", "1m0s 3h0m0s 7"},
	} {
		var calls []string
		s := &store{purgeStats: func(_ context.Context, step, retention time.Duration, limit int) (int, error) {
			calls = append(calls, fmt.Sprint(step, retention, limit))
			return len(calls), nil
		}}
		sweeper := newSweeper(t, s, waiting(func(string) (int, error) { return 0, nil }), retry.Config{StatsRetention: retention, Batch: 7})
		if n, err := sweeper.Purge(t.Context()); n != 3 || err != nil {
			t.Errorf("purged %d, %v, want 1 and 2", n, err)
		}
		if slices.Sort(calls); !slices.Equal(calls, want) {
			t.Errorf("with %v: %q, want %q", retention, calls, want)
		}
	}
	for _, bad := range []time.Duration{-1, 101 * 365 * 24 * time.Hour} {
		_, err := retry.NewSweeper(&store{}, waiting(nil), retry.Config{StatsRetention: bad})
		if err == nil || !strings.Contains(err.Error(), "Config.StatsRetention is "+bad.String()) {
			t.Errorf("%v: %v", bad, err)
		}
	}
}
