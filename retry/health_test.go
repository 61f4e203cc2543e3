package retry_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/retry"
)

func TestHealth(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var away atomic.Bool
		away.Store(true)
		s := &store{beat: func(core.Instance) error {
			if away.Load() {
				return errors.New("away")
			}
			return nil
		}}
		sweeper := newSweeper(t, s, waiting(func(string) (int, error) { return 0, nil }), retry.Config{})
		want := func(live, ready bool, why string) {
			t.Helper()
			h := sweeper.Health(t.Context())
			if h.Part != "sweeper" || h.Live != live || h.Ready != ready || (why == "") != (h.Why == "") || !strings.Contains(h.Why, why) {
				t.Errorf("health is %+v, want live %v, ready %v, because %q", h, live, ready, why)
			}
		}
		pass := func(d time.Duration) { time.Sleep(d); synctest.Wait() } // the bubble's
		want(true, false, "not called yet")
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		done := make(chan error)
		go func() { done <- sweeper.Run(ctx) }()
		pass(time.Minute)
		want(true, false, "not heard of it yet")
		away.Store(false)
		pass(5 * time.Second)
		want(true, true, "")
		away.Store(true)
		pass(10 * time.Second)
		want(true, true, "") // a beat or two are no news
		pass(10 * time.Second)
		want(true, false, "not heard of it for")
		away.Store(false)
		pass(5 * time.Second)
		want(true, true, "")
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		want(false, false, "ended")
	})
}
