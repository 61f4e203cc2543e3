package rabbitmq_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/rabbitmq"
)

// One message at a time tries a stalled destination, at growing distance and
// with growing patience, and an answer ends that.
func TestStalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := rabbitmq.NewStalls(slog.New(slog.DiscardHandler))
		ctx := context.Background()
		if !s.Admits("q") || s.Patience("q") != 0 {
			t.Error("a destination is stalled from the start")
		}
		for _, want := range []struct{ patience, pause time.Duration }{
			{time.Second, 5 * time.Second}, {2 * time.Second, 5 * time.Second}, {3 * time.Second, 6 * time.Second}, {3 * time.Second, 6 * time.Second},
		} {
			s.Add(ctx, "q", 3*time.Second)
			if got := s.Patience("q"); got != want.patience {
				t.Errorf("patience %v, want %v", got, want.patience)
			}
			if !s.Admits("other") {
				t.Error("another destination is stalled as well")
			}
			time.Sleep(want.pause - time.Millisecond)
			if got := s.Unavailable(); len(got) != 1 || got[0] != "q" {
				t.Errorf("%v are not available, want q until a message may try", got)
			}
			if s.Admits("q") {
				t.Errorf("another message is admitted before %v", want.pause)
			}
			time.Sleep(time.Millisecond)
			if got := s.Unavailable(); len(got) > 0 {
				t.Errorf("%v are not available although a message may try", got)
			}
			if !s.Admits("q") || s.Admits("q") {
				t.Errorf("after %v not exactly one message is admitted", want.pause)
			}
		}
		s.Answered(ctx, "q")
		for range 2 {
			if !s.Admits("q") || s.Patience("q") != 0 {
				t.Error("it is stalled although it has answered")
			}
		}
	})
}

// The jobs of a queue are put off together, whatever their routes are; events by
// exchange and key.
func TestStallsAreKeptByQueue(t *testing.T) {
	t.Parallel()
	job := func(queue, exchange, key string) ackbox.Job {
		return ackbox.Job{Queue: queue, Exchange: exchange, RoutingKey: key}
	}
	for _, tt := range []struct {
		a, b ackbox.Job
		want bool
	}{
		{job("q", "", "q"), job("q", "x", "order.1"), true},
		{job("q", "x", "order.1"), job("q", "x", "order.2"), true},
		{job("q", "x", "k"), job("r", "x", "k"), false},
		{job("", "x", "k"), job("", "x", "k"), true},
		{job("", "x", "k"), job("", "x", "l"), false},
		{job("", "x", "k"), job("", "y", "k"), false},
	} {
		if got := rabbitmq.SameStall(tt.a, tt.b); got != tt.want {
			t.Errorf("%+v and %+v: together %v, want %v", tt.a, tt.b, got, tt.want)
		}
	}
}

// Keys with ids in them, all new, cost a few short waits and not one each; keys
// that had an answer go on; an exchange is trusted again in the end.
func TestStallsOfOneExchange(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := rabbitmq.NewStalls(slog.New(slog.DiscardHandler))
		ctx := context.Background()
		admitted := 0
		for i := range 100 {
			key := fmt.Sprint("order.", i)
			if !s.AdmitsEvent(key) {
				continue
			}
			if got, want := s.EventPatience(key), time.Second; i > 0 && got != want {
				t.Errorf("key %d is waited for for %v, want %v", i, got, want)
			}
			admitted++
			s.AddEvent(ctx, key)
			s.EventAnswered(ctx, "good")
		}
		if admitted != 5 { // four keys, and one that stands for the rest
			t.Errorf("%d of 100 were published to a silent exchange, want 5", admitted)
		}
		if !s.AdmitsEvent("good") || s.EventPatience("good") != 0 {
			t.Error("a key that had an answer waits")
		}
		time.Sleep(5 * time.Second)
		if !s.AdmitsEvent("order.100") || s.AdmitsEvent("order.101") {
			t.Error("not exactly one event tries for all new keys")
		}
		time.Sleep(time.Minute)
		s.EventAnswered(ctx, "good")
		if !s.AdmitsEvent("order.0") || s.EventPatience("order.0") != 0 {
			t.Error("the exchange is in doubt although nothing has stalled for a minute")
		}
	})
}
