package worker_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
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
	run(t, worker.Config{Concurrency: 1, FlushInterval: time.Second}, h, func(b *bench) {
		for _, id := range []string{"exit1", "a", "exit2", "exit3", "b"} {
			b.send(job(id))
		}
		b.pass(3 * time.Second)
		if done := b.worker.Stats().Done; done != 2 {
			b.Errorf("%d jobs are done in 3 s, want 2", done)
		}
	})
}

// The ledger hears of an outcome as soon as there is one, and is asked for it all the
// same.
func TestOutcomesAreAnnounced(t *testing.T) {
	run(t, worker.Config{FlushInterval: time.Second}, plain{}, func(b *bench) {
		b.deliver(job("j"))
		b.expect()
		if n := b.diary.besides("announce j/1 done"); n != 1 {
			b.Errorf("announced %d times", n)
		}
		b.pass(time.Minute)
		b.expect(`j/1 done charge=false after=0s ""`, "ack j")
	})
}

// Rows that were busy are asked for as soon as they are released.
func TestReleasedRowsAreAskedFor(t *testing.T) {
	var released chan struct{} // of the bubble
	made := func(l *ledger) worker.Ledger {
		released = make(chan struct{}, 1)
		l.released = released
		return l
	}
	runOn(t, made, worker.Config{}, plain{}, func(b *bench) {
		busy := true
		b.ledger.set(func(l *ledger) {
			l.finish = func(ts []core.Transition) ([]core.Verdict, error) {
				if busy {
					return make([]core.Verdict, len(ts)), nil
				}
				return slices.Repeat([]core.Verdict{core.Recorded}, len(ts)), nil
			}
		})
		b.deliver(job("j"))
		b.pass(time.Second) // it is asked every 100 ms by now
		busy = false
		began := time.Now()
		released <- struct{}{}
		synctest.Wait()
		b.expect(`j/1 done charge=false after=0s ""`, "ack j")
		if waited := time.Since(began); waited != 0 {
			b.Errorf("it took %v", waited)
		}
	})
}

// batched is a receipt that is acknowledged together with others of its channel.
type batched struct {
	*receipt
	channel int
}

// AckAll implements core.BatchReceipt.
func (r batched) AckAll(others []core.Receipt) (rest []core.Receipt) {
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
	run(t, worker.Config{FlushInterval: time.Second, FlushSize: 100}, plain{}, func(b *bench) {
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

// What has not started when the subscription is lost goes back and does not run
// from here.
func TestLostBeforeItStarted(t *testing.T) {
	var ran []string
	var release chan struct{} // of the bubble
	h := plain{consume: func(_ context.Context, job ackbox.Job) error {
		ran = append(ran, job.ID)
		<-release
		return nil
	}}
	run(t, worker.Config{Concurrency: 1}, h, func(b *bench) {
		release = make(chan struct{})
		for _, id := range []string{"runs", "waits", "waits, too"} {
			b.deliver(job(id))
		}
		b.broker.lost <- errors.New("connection lost")
		b.pass(time.Second)
		b.diary.mu.Lock()
		slices.Sort(b.diary.lines)
		b.diary.mu.Unlock()
		b.expect("requeue waits", "requeue waits, too")
		close(release)
		b.pass(time.Second)
		b.expect(`runs/1 done charge=false after=0s ""`, "ack runs")
		if len(ran) != 1 {
			b.Errorf("%q ran", ran)
		}
	})
}

// A job that has its slot when the subscription is lost is run and recorded; one that
// goes back does not run. Nothing is both.
func TestLostWhileItStarts(t *testing.T) {
	for range 100 {
		var ran sync.Map
		h := plain{consume: func(_ context.Context, job ackbox.Job) error { ran.Store(job.ID, true); return nil }}
		run(t, worker.Config{Concurrency: 4}, h, func(b *bench) {
			for i := range 20 {
				b.send(job(fmt.Sprint("j", i)))
			}
			b.broker.lost <- errors.New("connection lost")
			b.pass(time.Second)
			story := b.diary.String() + ";"
			for i := range 20 {
				id := fmt.Sprint("j", i)
				_, has := ran.Load(id)
				back, done := strings.Contains(story, "requeue "+id+";"), strings.Contains(story, id+"/1 done ")
				if has == back || has != done {
					b.Fatalf("%s: it ran %t, went back %t, is recorded %t", id, has, back, done)
				}
			}
		})
	}
}
