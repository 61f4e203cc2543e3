package dispatcher_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/dispatcher"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/memory"
)

// Invariant 4: while the broker is away nothing is claimed; when it is back,
// work goes on at once.
func TestNothingIsClaimedWhileTheBrokerIsAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		mq, err := memory.New(memory.Config{Topology: ackbox.Topology{Queues: []ackbox.Queue{{Name: "q"}}}})
		if err != nil {
			t.Fatal(err)
		}
		defer mq.Close()
		mq.SetAway(true)
		o := newOutbox(1000)
		stop := run(t, newDispatcher(t, o, mq, dispatcher.Config{}))
		advance(time.Hour)
		if len(o.claims) != 0 {
			t.Errorf("%d claims while the broker was away", len(o.claims))
		}
		back := time.Now()
		mq.SetAway(false)
		synctest.Wait()
		if n := o.states()[ackbox.Sent]; n != 1000 || time.Since(back) != 0 {
			t.Errorf("%d of 1000 sent after %v", n, time.Since(back))
		}
		stop()
	})
}

func TestIdlePolling(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOutbox(0)
		stop := run(t, newDispatcher(t, o, &broker{}, dispatcher.Config{PollInterval: time.Second}))
		advance(time.Minute)
		start := time.Now()
		advance(time.Hour)
		stop()
		if n := o.claimsSince(start); n < 3540 || n > 3660 {
			t.Errorf("%d claims in an idle hour, want about 3600", n)
		}
		gaps := make(map[time.Duration]bool)
		for i := 100; i < 200; i++ {
			gap := o.claims[i].Sub(o.claims[i-1])
			gaps[gap] = true
			if gap < 900*time.Millisecond || gap > 1100*time.Millisecond {
				t.Errorf("a pause of %v, want 1s ±10%%", gap)
			}
		}
		if len(gaps) < 50 {
			t.Errorf("only %d different pauses of 100: there is no jitter", len(gaps))
		}
	})
}

// A wake-up may come before the commit it announces.
func TestWakeUp(t *testing.T) {
	t.Parallel()
	for _, lag := range []time.Duration{0, time.Millisecond, 3 * time.Millisecond, 10 * time.Millisecond, 100 * time.Millisecond} {
		t.Run(lag.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				o := newOutbox(0)
				var sentAt time.Time
				b := &broker{publish: func(_ context.Context, jobs []ackbox.Job) []core.Outcome {
					sentAt = time.Now()
					return all(core.Acked, jobs)
				}}
				stop := run(t, newDispatcher(t, o, b, dispatcher.Config{PollInterval: time.Minute}))
				defer stop()
				advance(time.Hour)
				before := time.Now()
				o.signal()
				advance(lag)
				o.add(1)
				advance(10 * time.Second)
				if took := sentAt.Sub(before); took < lag || took > 2*lag+lag/2+3*time.Millisecond {
					t.Errorf("sent %v after the wake-up, committed after %v", took, lag)
				}
				if n := o.claimsSince(before.Add(-1)); n > 25 {
					t.Errorf("%d claims", n)
				}
			})
		})
	}
}

func TestWakeUpsDoNotMakeItSpin(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOutbox(0)
		stop := run(t, newDispatcher(t, o, &broker{}, dispatcher.Config{}))
		defer stop()
		advance(time.Second)
		start := time.Now()
		for range 100_000 { // 10 s: somebody's transaction enqueues and enqueues
			o.signal()
			<-time.After(100 * time.Microsecond)
		}
		if n := o.claimsSince(start); n > 600 || n < 100 {
			t.Errorf("%d empty claims in 10 s of wake-ups, want about 50 each second", n)
		}
		// It stays awake all the same: what is committed then goes out soon.
		o.add(1)
		advance(25 * time.Millisecond)
		if n := o.states()[ackbox.Sent]; n != 1 {
			t.Error("the job was not sent within 25 ms")
		}
	})
}

func TestFullBatchesFollowEachOtherAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOutbox(1001)
		stop := run(t, newDispatcher(t, o, &broker{}, dispatcher.Config{BatchSize: 100, PollInterval: time.Hour}))
		start := time.Now()
		synctest.Wait()
		if n := o.states()[ackbox.Sent]; n != 1001 || time.Since(start) != 0 {
			t.Errorf("%d of 1001 sent after %v", n, time.Since(start))
		}
		if len(o.batches) != 11 || o.batches[0] != 100 || o.batches[10] != 1 {
			t.Errorf("batches %v", o.batches)
		}
		stop()
	})
}

func TestBatchesOverlapAndClaimsDoNot(t *testing.T) {
	t.Parallel()
	for _, inFlight := range []int{1, 2, 5} {
		t.Run(fmt.Sprint(inFlight), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				o := newOutbox(200)
				o.claim = func() error { <-time.After(time.Millisecond); return nil } // the fake fails claims that meet
				var onWire, most atomic.Int32
				b := &broker{publish: func(_ context.Context, jobs []ackbox.Job) []core.Outcome {
					n := onWire.Add(1)
					defer onWire.Add(-1)
					for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
					}
					<-time.After(10 * time.Millisecond)
					return all(core.Acked, jobs)
				}}
				start := time.Now()
				stop := run(t, newDispatcher(t, o, b, dispatcher.Config{BatchSize: 10, InFlight: inFlight}))
				for o.states()[ackbox.Sent] < 200 && time.Since(start) < time.Minute {
					<-time.After(time.Millisecond)
				}
				took := time.Since(start)
				stop()
				if int(most.Load()) != inFlight {
					t.Errorf("%d batches on the wire at once, want %d", most.Load(), inFlight)
				}
				if want := 20 * 11 * time.Millisecond / time.Duration(inFlight); took > want+20*time.Millisecond {
					t.Errorf("took %v, want about %v", took, want)
				}
			})
		})
	}
}

func TestFailuresBackOffAndRecover(t *testing.T) {
	t.Parallel()
	errDown := errors.New("down")
	tests := map[string]func(o *outbox, b *broker, failing *atomic.Bool, calls *atomic.Int32){
		"claim": func(o *outbox, _ *broker, failing *atomic.Bool, calls *atomic.Int32) {
			o.claim = func() error { return fail(failing, calls, errDown) }
		},
		"ready": func(_ *outbox, b *broker, failing *atomic.Bool, calls *atomic.Int32) {
			b.ready = func(context.Context) error { return fail(failing, calls, errDown) }
		},
		// Each publishes a batch in vain: it must not do so ten times a second.
		"commit": func(o *outbox, _ *broker, failing *atomic.Bool, calls *atomic.Int32) {
			o.commit = func() error { return fail(failing, calls, errDown) }
		},
	}
	for name, set := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var failing atomic.Bool
				var calls atomic.Int32
				o, b := newOutbox(1), &broker{}
				set(o, b, &failing, &calls)
				failing.Store(true)
				d := newDispatcher(t, o, b, dispatcher.Config{})
				stop := run(t, d)
				advance(5 * time.Minute)
				if n := calls.Load(); n < 50 || n > 150 {
					t.Errorf("%d calls in 5 minutes of failure, want one every few seconds", n)
				}
				failing.Store(false)
				advance(11 * time.Second)
				if n := o.states()[ackbox.Sent]; n != 1 {
					t.Error("not sent after the failure was over")
				}
				calls.Store(0)
				stop()
			})
		})
	}
}

func fail(failing *atomic.Bool, calls *atomic.Int32, err error) error {
	calls.Add(1)
	if failing.Load() {
		return err
	}
	return nil
}

func TestStopRecordsTheBatchInHand(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOutbox(30)
		b := &broker{publish: func(ctx context.Context, jobs []ackbox.Job) []core.Outcome {
			<-time.After(3 * time.Second)
			if ctx.Err() != nil {
				t.Error("a batch on the wire was cancelled")
			}
			return all(core.Acked, jobs)
		}}
		stop := run(t, newDispatcher(t, o, b, dispatcher.Config{BatchSize: 10}))
		advance(time.Second)
		start := time.Now()
		stop()
		if n := o.states()[ackbox.Sent]; n != 20 || time.Since(start) != 2*time.Second {
			t.Errorf("%d sent, stopped after %v; want the two batches in hand after 2s", n, time.Since(start))
		}
	})
}

func TestStopWhileWaiting(t *testing.T) {
	t.Parallel()
	for name, ready := range map[string]func(context.Context) error{
		"for work":   nil,
		"for broker": func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
		"in trouble": func(context.Context) error { return errors.New("no") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				stop := run(t, newDispatcher(t, newOutbox(0), &broker{ready: ready}, dispatcher.Config{PollInterval: time.Hour}))
				advance(time.Minute)
				start := time.Now()
				stop()
				if took := time.Since(start); took != 0 {
					t.Errorf("took %v", took)
				}
			})
		})
	}
}

func TestClosedBrokerEndsRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		mq, err := memory.New(memory.Config{Topology: ackbox.Topology{Queues: []ackbox.Queue{{Name: "q"}}}})
		if err != nil {
			t.Fatal(err)
		}
		d := newDispatcher(t, newOutbox(0), mq, dispatcher.Config{InFlight: 3})
		done := make(chan error, 1)
		go func() { done <- d.Run(t.Context()) }()
		advance(time.Second)
		_ = mq.Close()
		if err := <-done; !errors.Is(err, ackbox.ErrClosed) || !strings.HasPrefix(err.Error(), "dispatcher: ") {
			t.Errorf("Run: %v, want ErrClosed", err)
		}
	})
}

func TestRunTwice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDispatcher(t, newOutbox(0), &broker{}, dispatcher.Config{})
		stop := run(t, d)
		synctest.Wait()
		if err := d.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "runs already") {
			t.Errorf("the second Run: %v", err)
		}
		stop()
		run(t, d)() // again, once the first is over
	})
}

func TestOrderWithinABatchIsKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOutbox(50)
		var ids []string
		b := &broker{publish: func(_ context.Context, jobs []ackbox.Job) []core.Outcome {
			for _, j := range jobs {
				ids = append(ids, j.ID)
			}
			return all(core.Acked, jobs)
		}}
		stop := run(t, newDispatcher(t, o, b, dispatcher.Config{}))
		synctest.Wait()
		stop()
		want := make([]string, 50)
		for i := range want {
			want[i] = fmt.Sprint(i + 1)
		}
		if !slices.Equal(ids, want) {
			t.Errorf("published %v", ids)
		}
	})
}
