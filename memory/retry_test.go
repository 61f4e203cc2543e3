package memory_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/memory"
)

func TestRetryRoundsUpToARung(t *testing.T) {
	t.Parallel()
	tests := []struct{ delay, want time.Duration }{
		{-time.Second, time.Second},
		{0, time.Second},
		{time.Second, time.Second},
		{1200 * time.Millisecond, time.Second}, // a second with jitter
		{1200*time.Millisecond + 1, 5 * time.Second},
		{7 * time.Second, 30 * time.Second},
		{time.Hour, time.Hour},
		{48 * time.Hour, time.Hour},
	}
	for _, tt := range tests {
		t.Run(tt.delay.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBroker(t, memory.Config{})
				s := subscribe(t, b, 1)
				start := time.Now()
				again := core.Delivery{Job: job("1")}
				again.Attempt = 2
				must(t, b.Retry(t.Context(), again, tt.delay))
				d := <-s.deliveries
				if waited := time.Since(start); waited != tt.want {
					t.Errorf("waited %v, want %v", waited, tt.want)
				}
				if d.ID != "1" || d.Attempt != 2 || d.Redelivered || string(d.Payload) != "1" {
					t.Errorf("came back as %+v", d)
				}
				must(t, b.Close())
				s.closed(t)
			})
		})
	}
}

// A short pause that starts later ends first: nothing waits for another rung.
func TestRetriesComeBackInOrderOfTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t, memory.Config{})
		s := subscribe(t, b, 100)
		for i, delay := range []time.Duration{time.Minute, 5 * time.Second, time.Second, 5 * time.Second} {
			d := core.Delivery{Job: job(fmt.Sprint(i))}
			must(t, b.Retry(t.Context(), d, delay))
		}
		start := time.Now()
		var got []string
		for range 4 {
			d := <-s.deliveries
			got = append(got, fmt.Sprintf("%s after %v", d.ID, time.Since(start)))
		}
		want := []string{"2 after 1s", "1 after 5s", "3 after 5s", "0 after 2m0s"}
		if !slices.Equal(got, want) {
			t.Errorf("came back: %v, want %v", got, want)
		}
		must(t, b.Close())
		s.closed(t)
	})
}

// Wherever Close meets the timer, nothing of the broker runs after it; the
// bubble of synctest would not end.
func TestCloseEndsTheTimer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, pause := range []time.Duration{0, time.Second - 1, time.Second, time.Second + 1} {
			b := newBroker(t, memory.Config{})
			for _, delay := range []time.Duration{time.Hour, time.Second} {
				must(t, b.Retry(t.Context(), core.Delivery{Job: job("1")}, delay))
			}
			ctx, cancel := context.WithTimeout(t.Context(), pause)
			<-ctx.Done()
			must(t, b.Close())
			must(t, b.Close())
			cancel()
		}
	})
}

func TestRetryNeedsAWorkQueue(t *testing.T) {
	t.Parallel()
	b := newBroker(t, memory.Config{})
	for _, name := range []string{"", "nowhere", "default.dead"} {
		d := core.Delivery{Job: ackbox.Job{ID: "1", Queue: name}}
		if err := b.Retry(t.Context(), d, 0); err == nil {
			t.Errorf("Retry in queue %q: no error", name)
		}
		if err := b.Bury(t.Context(), d, "cause"); err == nil {
			t.Errorf("Bury in queue %q: no error", name)
		}
		if _, err := b.RequeueDead(t.Context(), name, ackbox.DeadFilter{}, 1); err == nil {
			t.Errorf("RequeueDead in queue %q: no error", name)
		}
	}
}

func TestBuriedMessageShowsItsCause(t *testing.T) {
	t.Parallel()
	b := newBroker(t, memory.Config{})
	j := job("1")
	j.Headers, j.Attempt = map[string]string{"k": "v"}, 3
	must(t, b.Bury(t.Context(), core.Delivery{Job: j}, "no such order"))
	ctx, stop := context.WithCancel(t.Context())
	must(t, b.Consume(ctx, queue+".dead", 1, func(d core.Delivery) {
		stop()
		if d.Headers[ackbox.HeaderError] != "no such order" || d.Headers["k"] != "v" || d.Attempt != 3 {
			t.Errorf("buried as %+v", d.Job)
		}
		must(t, d.Receipt.Requeue())
	}))
	if n, err := b.RequeueDead(t.Context(), queue, ackbox.DeadFilter{}, 5); n != 1 || err != nil {
		t.Fatalf("requeued %d, %v; want 1", n, err)
	}
	ctx, stop = context.WithCancel(t.Context())
	must(t, b.Consume(ctx, queue, 1, func(d core.Delivery) {
		stop()
		if len(d.Headers) != 1 || d.Attempt != 4 || d.AttemptsBefore != 3 || d.Redelivered || d.RoutingKey != queue {
			t.Errorf("requeued as %+v", d)
		}
		must(t, d.Receipt.Ack())
	}))
}

func TestRequeueDeadIntoAFullQueue(t *testing.T) {
	t.Parallel()
	b := newBroker(t, memory.Config{Topology: ackbox.Topology{Queues: []ackbox.Queue{{Name: queue, MaxLength: 1}}}})
	for _, id := range []string{"1", "2"} {
		must(t, b.Bury(t.Context(), core.Delivery{Job: job(id)}, "cause"))
	}
	if n, err := b.RequeueDead(t.Context(), queue, ackbox.DeadFilter{}, 2); n != 1 || err == nil {
		t.Errorf("requeued %d, %v; want 1 and an error", n, err)
	}
	if n := waiting(t, b, queue+".dead"); n != 1 {
		t.Errorf("%d dead messages, want 1", n)
	}
	if _, err := b.RequeueDead(t.Context(), queue, ackbox.DeadFilter{}, -1); err == nil {
		t.Error("limit -1: no error")
	}
}

func TestEverythingFailsAfterClose(t *testing.T) {
	t.Parallel()
	b := newBroker(t, memory.Config{})
	must(t, b.Close())
	must(t, b.Close())
	ctx, d := t.Context(), core.Delivery{Job: job("1")}
	_, errDead := b.RequeueDead(ctx, queue, ackbox.DeadFilter{}, 1)
	_, errWaiting := b.Waiting(ctx, queue)
	for i, err := range []error{
		b.Ready(ctx), b.Consume(ctx, queue, 1, nil), b.Retry(ctx, d, 0), b.Bury(ctx, d, "cause"), errDead, errWaiting,
	} {
		if !errors.Is(err, ackbox.ErrClosed) {
			t.Errorf("call %d: %v, want ErrClosed", i, err)
		}
	}
	if out := b.Publish(ctx, []ackbox.Job{job("1")}); out[0].Status != core.Unknown || out[0].Reason == "" {
		t.Errorf("Publish: %v, want unknown with a reason", out[0])
	}
}
