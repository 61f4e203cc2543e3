package worker_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/worker"
)

// What waits when the worker stops goes back when its subscription is to end, and not
// before: the broker would hand it out again, to this very worker, and count another
// return.
func TestStopEndsSubscriptionsFirst(t *testing.T) {
	t.Parallel()
	blocks := plain{consume: func(ctx context.Context, _ ackbox.Job) error {
		<-ctx.Done()
		return ctx.Err()
	}}
	for range 300 { // it is a matter of chance who comes first
		run(t, worker.Config{Concurrency: 1, Grace: time.Second}, blocks, func(b *bench) {
			for n := range 8 {
				b.deliver(job(fmt.Sprintf("%d", n)))
			}
			b.end()
			if n := b.broker.early.Load(); n > 0 {
				b.Errorf("%d messages went back while more were handed out", n)
			}
		})
		if t.Failed() {
			return
		}
	}
}
