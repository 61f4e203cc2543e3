package dispatcher_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/dispatcher"
	"github.com/ackbox/ackbox/internal/core"
)

// Invariant 8: while full batches of one queue's backlog keep every lane busy, a
// job of another queue does not wait until one of them is free.
func TestQuietQueueBesideFullLanes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOutbox(1000)
		var bulk, quiet atomic.Int64
		b := &broker{publish: func(_ context.Context, jobs []ackbox.Job) []core.Outcome {
			if jobs[0].Queue == "quiet" {
				quiet.Add(int64(len(jobs)))
			} else {
				time.Sleep(time.Second) // on the wire
				bulk.Add(int64(len(jobs)))
			}
			return all(core.Acked, jobs)
		}}
		stop := run(t, newDispatcher(t, o, b, dispatcher.Config{BatchSize: 100, InFlight: 2}))
		advance(10 * time.Millisecond) // both lanes have theirs
		for n := int64(1); n <= 3; n++ {
			o.mu.Lock()
			o.pending = append(o.pending, ackbox.Job{ID: "quiet", Kind: "k", Queue: "quiet", Attempt: 1, Ledger: "ledger"})
			o.mu.Unlock()
			o.signal()
			advance(50 * time.Millisecond)
			if quiet.Load() != n || bulk.Load() != 0 {
				t.Errorf("sent %d of the quiet queue, want %d, while %d of the others were", quiet.Load(), n, bulk.Load())
			}
		}
		// An enqueued job of another process, without a signal here.
		o.mu.Lock()
		o.pending = append(o.pending, ackbox.Job{ID: "quiet", Kind: "k", Queue: "quiet", Attempt: 1, Ledger: "ledger"})
		o.mu.Unlock()
		advance(300 * time.Millisecond)
		if quiet.Load() != 4 {
			t.Errorf("sent %d of the quiet queue, want 4 after a poll", quiet.Load())
		}
		advance(10 * time.Second)
		if bulk.Load() != 1000 {
			t.Errorf("sent %d of the backlog, want all", bulk.Load())
		}
		// Nobody is in the way any more: one look per poll, as ever.
		start := time.Now()
		advance(10 * time.Second)
		if n := o.claimsSince(start); n > 60 {
			t.Errorf("%d looks in 10 s of peace, want one per poll of 200 ms", n)
		}
		stop()
	})
}
