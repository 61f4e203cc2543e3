package memory_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/memory"
)

func TestAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t, memory.Config{})
		publish(t, b, job("1"), job("2"), job("3"))
		// Two consumers, so that nothing is dealt to one that is cut next.
		x, y := subscribe(t, b, 1), subscribe(t, b, 1)
		held := []core.Delivery{<-x.deliveries, <-y.deliveries}

		b.SetAway(true)
		b.SetAway(true)
		for _, done := range []chan error{x.done, y.done} {
			if err := <-done; err == nil || errors.Is(err, ackbox.ErrClosed) {
				t.Errorf("Consume: %v, want an error that is not ErrClosed", err)
			}
		}
		for _, d := range held {
			if d.Receipt.Ack() == nil {
				t.Error("a receipt of a cut subscription settled something")
			}
		}
		if out := b.Publish(t.Context(), []ackbox.Job{job("4")}); out[0].Status != core.Unknown {
			t.Errorf("Publish: %v, want unknown", out[0])
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := b.Ready(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Ready while away: %v, want the deadline", err)
		}
		must(t, b.Consume(ctx, queue, 1, nil)) // ended with nothing in hand
		ready := make(chan error, 1)
		go func() { ready <- b.Ready(t.Context()) }()
		z := subscribe(t, b, 9) // waits, too
		synctest.Wait()
		if n := len(z.deliveries) + len(ready); n != 0 {
			t.Error("something went on while the broker was away")
		}

		b.SetAway(false)
		must(t, <-ready)
		synctest.Wait()
		for i, want := range []string{"1", "2", "3"} {
			d := <-z.deliveries
			if seen := i < 2; d.ID != want || d.Redelivered != seen || (d.Returns == 1) != seen {
				t.Errorf("got message %s, redelivered %v, returned %d times", d.ID, d.Redelivered, d.Returns)
			}
		}
		must(t, b.Close())
		z.closed(t)
	})
}

func TestRetryBecomesDueWhileAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t, memory.Config{})
		must(t, b.Retry(t.Context(), core.Delivery{Job: job("1")}, time.Second))
		b.SetAway(true)
		<-time.After(2 * time.Second) // of the bubble's clock
		b.SetAway(false)
		if n := waiting(t, b, queue); n != 1 {
			t.Errorf("%d messages wait, want 1", n)
		}
	})
}

func TestCloseWakesWhoWaitsForTheBroker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t, memory.Config{})
		b.SetAway(true)
		ready := make(chan error, 1)
		go func() { ready <- b.Ready(t.Context()) }()
		s := subscribe(t, b, 1)
		synctest.Wait()
		must(t, b.Close())
		s.closed(t)
		if err := <-ready; !errors.Is(err, ackbox.ErrClosed) {
			t.Errorf("Ready: %v, want ErrClosed", err)
		}
		b.SetAway(false)
	})
}

func TestWipe(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t, memory.Config{})
		publish(t, b, job("held"), job("waiting"))
		s := subscribe(t, b, 1)
		d := <-s.deliveries
		must(t, b.Retry(t.Context(), core.Delivery{Job: job("parked")}, 0))
		must(t, b.Bury(t.Context(), core.Delivery{Job: job("dead")}, "cause"))

		b.Wipe()
		<-time.After(time.Minute) // of the bubble's clock: the retry would be due
		if n, dead := waiting(t, b, queue), waiting(t, b, queue+".dead"); n+dead != 0 {
			t.Errorf("%d messages wait and %d are dead after Wipe", n, dead)
		}
		must(t, d.Receipt.Ack())
		publish(t, b, job("new"))
		synctest.Wait()
		if got := s.ids(); !slices.Equal(got, []string{"new"}) {
			t.Errorf("after Wipe came %v, want new", got)
		}

		b.SetAway(true) // also what handlers hold
		b.Wipe()
		b.SetAway(false)
		if <-s.done == nil {
			t.Error("Consume: no error although the broker was away")
		}
		if n := waiting(t, b, queue); n != 0 {
			t.Errorf("%d messages wait, want 0", n)
		}
	})
}
