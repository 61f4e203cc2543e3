package memory_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/memory"
)

// Publishers, consumers, requeues, retries and outages all at once: whatever
// was acked to its publisher is acked by a consumer exactly once, because
// nothing here acks twice.
func TestNothingIsLostUnderOutages(t *testing.T) {
	t.Parallel()
	const publishers, each = 4, 300
	b := newBroker(t, memory.Config{RetryLadder: []time.Duration{time.Millisecond}})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var done sync.Map
	var handled atomic.Int64
	finished := make(chan struct{})

	var wg sync.WaitGroup
	for p := range publishers {
		wg.Go(func() {
			for i := 0; i < each && b.Ready(ctx) == nil; {
				if b.Publish(ctx, []ackbox.Job{job(fmt.Sprint(p, "-", i))})[0].Status == core.Acked {
					i++
				}
			}
		})
	}
	consume, stop := context.WithCancel(ctx)
	for range 3 {
		wg.Go(func() {
			for n := 0; consume.Err() == nil && b.Ready(consume) == nil; {
				_ = b.Consume(consume, queue, 5, func(d core.Delivery) {
					n++
					switch {
					case n%7 == 0:
						_ = d.Receipt.Requeue()
						return
					case n%11 == 0 && d.Attempt == 1:
						again := d
						again.Attempt = 2
						if d.Receipt.Ack() == nil { // first, so that this test has no duplicates
							for b.Retry(ctx, again, 0) != nil && b.Ready(ctx) == nil {
							}
						}
						return
					}
					if d.Receipt.Ack() != nil {
						return
					}
					if _, twice := done.LoadOrStore(d.ID, true); twice {
						t.Errorf("message %s was acked twice", d.ID)
					}
					if handled.Add(1) == publishers*each {
						close(finished)
					}
				})
			}
		})
	}
	wg.Go(func() {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for away := true; ; away = !away {
			select {
			case <-tick.C:
				b.SetAway(away)
			case <-finished:
				return
			case <-ctx.Done():
				return
			}
		}
	})

	select {
	case <-finished:
	case <-ctx.Done():
		t.Errorf("%d of %d messages were handled", handled.Load(), publishers*each)
	}
	b.SetAway(false)
	stop()
	wg.Wait()
}
