package rabbitmq_test

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

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
			if s.Admits("q") {
				t.Errorf("another message is admitted before %v", want.pause)
			}
			time.Sleep(time.Millisecond)
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
