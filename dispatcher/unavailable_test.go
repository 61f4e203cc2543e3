package dispatcher_test

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/dispatcher"
	"github.com/ackbox/ackbox/internal/core"
)

// Invariants 4 and 8: jobs of a queue that takes nothing are not claimed, and
// those that were claimed before that was known are left as they are.
func TestUnavailableQueueIsLeftAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOutbox(100)
		for i := range o.pending {
			if i%2 == 0 {
				o.pending[i].Queue = "stalled"
			}
		}
		var known, answers atomic.Bool
		tries := 0
		b := &broker{
			away: func() []string {
				if known.Load() {
					return []string{"stalled"}
				}
				return nil
			},
			publish: func(_ context.Context, jobs []ackbox.Job) []core.Outcome {
				outcomes := all(core.Acked, jobs)
				for i, job := range jobs {
					if job.Queue == "stalled" && !answers.Load() {
						tries++
						outcomes[i] = core.Outcome{Stalled: true, Unpublished: true}
						known.Store(true)
					}
				}
				return outcomes
			},
		}
		d := newDispatcher(t, o, b, dispatcher.Config{BatchSize: 10, InFlight: 1})
		stop := run(t, d)
		advance(time.Minute)
		if states := o.states(); states[ackbox.Sent] != 50 || len(o.recorded) != 50+tries {
			t.Errorf("recorded %v, want the 50 jobs of the other queue and nothing else", states)
		}
		if tries > 10 || !slices.Equal(o.except, []string{"stalled"}) {
			t.Errorf("%d stalled jobs were claimed, and the claims leave out %q", tries, o.except)
		}
		for _, job := range o.pending {
			if job.Resend != 0 || job.Queue != "stalled" {
				t.Fatalf("left is %+v", job)
			}
		}
		answers.Store(true)
		known.Store(false)
		advance(time.Second)
		stop()
		if n := o.states()[ackbox.Sent]; n != 100 || d.Stats().Unknown != int64(tries) {
			t.Errorf("%d sent in the end, stats %+v", n, d.Stats())
		}
	})
}

// A broker that puts nothing on the wire, and lists no queue for it, is asked no
// more often than a poll; nothing is written meanwhile.
func TestUnpublishedIsNoHotLoop(t *testing.T) {
	t.Parallel()
	for name, queue := range map[string]string{"job": "q", "event": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				o := newOutbox(9) // no full batch, or a mutant would never pause
				for i := range o.pending {
					o.pending[i].Queue = queue
				}
				b := &broker{publish: func(_ context.Context, jobs []ackbox.Job) []core.Outcome {
					outcomes := all(core.Unknown, jobs)
					for i := range outcomes {
						outcomes[i].Unpublished = true
					}
					return outcomes
				}}
				stop := run(t, newDispatcher(t, o, b, dispatcher.Config{BatchSize: 10, InFlight: 1}))
				advance(time.Minute)
				stop()
				if n := len(o.batches); n < 200 || n > 340 {
					t.Errorf("%d batches in a minute, want one for each 200 ms", n)
				}
				for _, tr := range o.recorded {
					if tr != (core.Transition{}) {
						t.Fatalf("recorded %+v", tr)
					}
				}
			})
		})
	}
}

// An event whose exchange does not answer has no queue that could be left out: it
// is put off, lest it be claimed again and again.
func TestStalledEventIsPutOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOutbox(1)
		o.pending[0].Queue = ""
		b := &broker{publish: func(_ context.Context, jobs []ackbox.Job) []core.Outcome {
			return []core.Outcome{{Stalled: true, Unpublished: true}}[:len(jobs)]
		}}
		stop := run(t, newDispatcher(t, o, b, dispatcher.Config{Backoff: linear{}}))
		synctest.Wait()
		stop()
		if tr := o.recorded[0]; tr.To != ackbox.Pending || tr.After != time.Second || tr.Charge {
			t.Errorf("recorded %+v", tr)
		}
	})
}
