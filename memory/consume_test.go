package memory_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/memory"
)

func TestPrefetchIsTheBoundOfUnsettledDeliveries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t, memory.Config{})
		publish(t, b, job("1"), job("2"), job("3"), job("4"))
		s := subscribe(t, b, 2)
		synctest.Wait()
		first := <-s.deliveries
		if rest := s.ids(); !slices.Equal(rest, []string{"2"}) {
			t.Fatalf("handed out with 1: %v, want 2 only", rest)
		}
		if n := waiting(t, b, queue); n != 2 {
			t.Errorf("%d messages wait, want 2", n)
		}
		must(t, first.Receipt.Ack())
		synctest.Wait()
		if got := s.ids(); !slices.Equal(got, []string{"3"}) {
			t.Errorf("after an ack: %v, want 3", got)
		}
		must(t, b.Close())
		s.closed(t)
	})
}

// A consumer that is slow holds its prefetch, not more; the others go on.
func TestConsumersShareInTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t, memory.Config{})
		x, y := subscribe(t, b, 2), subscribe(t, b, 3)
		synctest.Wait()
		publish(t, b, job("1"), job("2"), job("3"), job("4"), job("5"), job("6"))
		synctest.Wait()
		got := [][]string{x.ids(), y.ids()}
		if len(got[0]) != 2 || len(got[1]) != 3 {
			t.Errorf("got %v: want 2 and 3", got)
		}
		if n := waiting(t, b, queue); n != 1 {
			t.Errorf("%d messages wait, want 1", n)
		}
		must(t, b.Close())
		x.closed(t)
		y.closed(t)
	})
}

func TestRequeuedMessageIsNext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t, memory.Config{})
		publish(t, b, job("1"), job("2"))
		s := subscribe(t, b, 1)
		for returns := range 3 {
			d := <-s.deliveries
			if d.ID != "1" || d.Returns != returns || d.Redelivered != (returns > 0) {
				t.Fatalf("got message %s, returned %d times, redelivered %v; want 1, %d times", d.ID, d.Returns, d.Redelivered, returns)
			}
			must(t, d.Receipt.Requeue())
		}
		must(t, (<-s.deliveries).Receipt.Ack())
		if d := <-s.deliveries; d.ID != "2" || !d.First() {
			t.Errorf("got message %s, first %v; want 2, a first one", d.ID, d.First())
		}
		must(t, b.Close())
		s.closed(t)
	})
}

func TestReceiptSettlesOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t, memory.Config{})
		publish(t, b, job("1"))
		s := subscribe(t, b, 1)
		d := <-s.deliveries
		must(t, d.Receipt.Ack())
		for _, settle := range []func() error{d.Receipt.Ack, d.Receipt.Requeue} {
			if err := settle(); err == nil || !strings.Contains(err.Error(), "settled already") {
				t.Errorf("second settle: %v, want settled already", err)
			}
		}
		if n := waiting(t, b, queue); n != 0 {
			t.Errorf("%d messages wait, want 0", n)
		}
		s.stop()
		must(t, <-s.done)
	})
}

func TestStopWaitsForReceiptsAndReturnsTheRest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t, memory.Config{})
		publish(t, b, job("1"), job("2"), job("3"))
		ctx, stop := context.WithCancel(t.Context())
		inHand, release, done := make(chan core.Delivery, 9), make(chan bool), make(chan error, 1)
		go func() {
			done <- b.Consume(ctx, queue, 3, func(d core.Delivery) {
				inHand <- d
				<-release
			})
		}()
		synctest.Wait()
		stop()
		close(release)
		synctest.Wait()
		select {
		case err := <-done:
			t.Fatalf("Consume returned %v before the receipt was settled", err)
		default:
		}
		if n := waiting(t, b, queue); n != 2 {
			t.Errorf("%d messages wait, want the 2 that were not handed out", n)
		}
		must(t, (<-inHand).Receipt.Ack())
		must(t, <-done)
		if len(inHand) != 0 {
			t.Errorf("%d more deliveries were handed out", len(inHand))
		}
		next := subscribe(t, b, 3)
		synctest.Wait()
		if got := next.ids(); !slices.Equal(got, []string{"2", "3"}) {
			t.Errorf("the next consumer got %v, want 2 and 3 in order", got)
		}
		must(t, b.Close())
		next.closed(t)
	})
}

func TestRequeueWhileStoppingGoesToAnotherConsumer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t, memory.Config{})
		publish(t, b, job("1"))
		s := subscribe(t, b, 1)
		d := <-s.deliveries
		s.stop()
		synctest.Wait()
		must(t, d.Receipt.Requeue())
		must(t, <-s.done)
		if n := waiting(t, b, queue); n != 1 {
			t.Errorf("%d messages wait, want 1", n)
		}
	})
}

func TestCloseEndsAStopThatWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t, memory.Config{})
		publish(t, b, job("1"))
		s := subscribe(t, b, 1)
		d := <-s.deliveries
		s.stop()
		synctest.Wait()
		must(t, b.Close())
		if err := <-s.done; !errors.Is(err, ackbox.ErrClosed) {
			t.Errorf("Consume: %v, want ErrClosed", err)
		}
		if err := d.Receipt.Ack(); !errors.Is(err, ackbox.ErrClosed) {
			t.Errorf("Ack: %v, want ErrClosed", err)
		}
	})
}

func TestPanickingHandleLosesNothing(t *testing.T) {
	t.Parallel()
	b := newBroker(t, memory.Config{})
	publish(t, b, job("1"), job("2"))
	func() {
		defer func() { _ = recover() }()
		_ = b.Consume(t.Context(), queue, 2, func(core.Delivery) { panic("handle") })
	}()
	if n := waiting(t, b, queue); n != 2 {
		t.Errorf("%d messages wait, want 2", n)
	}
}

func TestConsumeRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	b := newBroker(t, memory.Config{})
	err := b.Consume(t.Context(), "nowhere", 1, nil)
	if err == nil || !strings.Contains(err.Error(), `"nowhere"`) || !strings.Contains(err.Error(), `["default"]`) {
		t.Errorf("unknown queue: %v, want an error with the known ones", err)
	}
	if err := b.Consume(t.Context(), queue, 0, nil); err == nil || !strings.Contains(err.Error(), "prefetch is 0") {
		t.Errorf("prefetch 0: %v", err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
