package worker_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/retry"
	"github.com/ackbox/ackbox/worker"
)

// After a lost connection the broker hands out again what still runs here: it
// is joined to the copy that runs, and both are settled by its outcome.
func TestCopiesAreJoined(t *testing.T) {
	var release chan struct{} // of the bubble
	calls := 0
	h := plain{consume: func(context.Context, ackbox.Job) error { calls++; <-release; return nil }}
	again := job("j")
	again.Redelivered = true
	run(t, worker.Config{}, h, func(b *bench) {
		release = make(chan struct{})
		b.deliver(job("j"))
		b.broker.lost <- errors.New("connection lost")
		b.pass(time.Second)
		b.deliver(again)
		b.expect()
		close(release)
		b.pass(time.Second)
		b.expect(`j/1 done charge=false after=0s ""`, "ack j", "ack j")
		if calls != 1 {
			t.Errorf("the handler was called %d times", calls)
		}
	})
}

// The copy that follows a snooze is not settled by the one that was snoozed,
// however soon it comes: it goes back, to be asked about.
func TestSnoozedCopyComesAgain(t *testing.T) {
	h := plain{consume: func(context.Context, ackbox.Job) error { return retry.Snooze(0) }}
	run(t, worker.Config{FlushInterval: time.Second}, h, func(b *bench) {
		b.deliver(job("j")) // snoozed, not yet recorded
		copied := job("j")
		copied.Resend = 1
		b.deliver(copied)
		b.pass(5 * time.Second)
		b.expect(`j/1 pending charge=false after=0s ""`, "ack j", "requeue j")
	})
}
