package worker_test

import (
	"context"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/worker"
)

// A handler that ends its goroutine does not take the queue's slot with it.
func TestGoexitLeavesTheSlot(t *testing.T) {
	h := plain{consume: func(_ context.Context, job ackbox.Job) error {
		if strings.HasPrefix(job.ID, "exit") {
			runtime.Goexit()
		}
		time.Sleep(time.Second)
		return nil
	}}
	run(t, worker.Config{Concurrency: 1, FlushInterval: time.Minute}, h, func(b *bench) {
		for _, id := range []string{"exit1", "a", "exit2", "exit3", "b"} {
			b.send(job(id))
		}
		b.pass(3 * time.Second)
		if done := b.worker.Stats().Done; done != 2 {
			b.Errorf("%d jobs are done in 3 s, want 2", done)
		}
	})
}

// announcing is a ledger that wants to hear of outcomes early.
type announcing struct{ *ledger }

// Announce implements worker.Announcer.
func (a announcing) Announce(t ackbox.Transition) {
	a.diary.note("announce %s/%d %s", t.ID, t.Attempt, t.To)
}

// A ledger that cares hears of an outcome as soon as there is one, and is asked
// for it all the same.
func TestOutcomesAreAnnounced(t *testing.T) {
	made := func(l *ledger) worker.Ledger { return announcing{l} }
	runOn(t, made, worker.Config{FlushInterval: time.Minute}, plain{}, func(b *bench) {
		b.deliver(job("j"))
		b.expect("announce j/1 done")
		b.pass(time.Minute)
		b.expect(`j/1 done charge=false after=0s ""`, "ack j")
	})
}

// batched is a receipt that is acknowledged together with others of its channel.
type batched struct {
	*receipt
	channel int
}

// AckAll implements ackbox.BatchReceipt.
func (r batched) AckAll(others []ackbox.Receipt) (rest []ackbox.Receipt) {
	_ = r.Ack()
	for _, other := range others {
		if o, ok := other.(batched); ok && o.channel == r.channel {
			_ = o.settle("ack, too:")
		} else {
			rest = append(rest, other)
		}
	}
	return rest
}

// What was recorded together is acknowledged together, channel by channel.
func TestAcknowledgedTogether(t *testing.T) {
	run(t, worker.Config{FlushInterval: time.Minute, FlushSize: 100}, plain{}, func(b *bench) {
		for i, id := range []string{"a", "b", "c", "plain", "d"} {
			d := job(id)
			if id != "plain" {
				d.Receipt = batched{&receipt{b: b.broker, id: id}, i % 2}
			}
			b.deliver(d)
		}
		b.pass(time.Minute)
		b.expect(
			`a/1 done charge=false after=0s ""`, `b/1 done charge=false after=0s ""`, `c/1 done charge=false after=0s ""`,
			`plain/1 done charge=false after=0s ""`, `d/1 done charge=false after=0s ""`,
			"ack a", "ack, too: c", "ack, too: d", "ack b", "ack plain",
		)
	})
}
