package dispatcher_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/dispatcher"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/retry"
)

// perAttempt waits as many seconds as there were refusals.
type perAttempt struct{}

func (perAttempt) Next(attempt int) time.Duration { return time.Duration(attempt) * time.Second }

func TestOutcomesBecomeTransitions(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOutbox(6)
		for i, refusals := range []int{0, 0, 4, 18, 19, 40} {
			o.pending[i].PublishAttempt, o.pending[i].Attempt = refusals, i+1
		}
		o.pending[3].RefusedFor, o.pending[4].RefusedFor, o.pending[5].RefusedFor = time.Hour-1, time.Hour, 2*time.Hour
		o.pending[5].Queue = "" // an event
		statuses := []core.Status{core.Acked, core.NackedByBroker, core.Returned, core.NackedByBroker, core.Returned, core.NackedByBroker}
		b := &broker{publish: func(_ context.Context, jobs []ackbox.Job) []core.Outcome {
			outcomes := make([]core.Outcome, len(jobs))
			for i := range jobs {
				outcomes[i] = core.Outcome{Status: statuses[i], Reason: "reason " + jobs[i].ID}
			}
			return outcomes
		}}
		var log bytes.Buffer
		d := newDispatcher(t, o, b, dispatcher.Config{Backoff: perAttempt{}, RefusalLimit: time.Hour, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		stop := run(t, d)
		synctest.Wait()
		stop()

		want := []core.Transition{
			{ID: "1", Attempt: 1, To: ackbox.Sent},
			{ID: "2", Attempt: 2, To: ackbox.Nacked, After: time.Second, Error: "publish 1: nacked by the broker: reason 2"},
			{ID: "3", Attempt: 3, To: ackbox.Nacked, After: 5 * time.Second, Error: "publish 5: returned by the broker: reason 3"},
			{ID: "4", Attempt: 4, To: ackbox.Nacked, After: 19 * time.Second, Error: "publish 19: nacked by the broker: reason 4"},
			{ID: "5", Attempt: 5, To: ackbox.Refused, Error: "publish 20: returned by the broker: reason 5"},
			{ID: "6", Attempt: 6, To: ackbox.Dead, Error: "publish 41: nacked by the broker: reason 6"},
		}
		if got := fmt.Sprint(o.recorded); got != fmt.Sprint(want) {
			t.Errorf("recorded\n%v, want\n%v", got, want)
		}
		if got, want := d.Stats(), (dispatcher.Stats{Sent: 1, Refused: 5, Dead: 2}); got != want {
			t.Errorf("stats %+v, want %+v", got, want)
		}
		if lines := strings.Count(log.String(), "refused jobs"); lines != 2 {
			t.Errorf("%d log lines for a batch, want one for the refused and one for the dead:\n%s", lines, &log)
		}
		for _, want := range []string{"level=WARN", "jobs=3 first_kind=k first_id=2", "level=ERROR", "jobs=2 first_kind=k first_id=5", "routing_key=q"} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("the log lacks %q:\n%s", want, &log)
			}
		}
		if strings.Contains(log.String(), "secret") {
			t.Errorf("a payload was logged:\n%s", &log)
		}
	})
}

func TestUnknownStaysPendingUncharged(t *testing.T) {
	t.Parallel()
	for name, publish := range map[string]func(context.Context, []ackbox.Job) []core.Outcome{
		"unknown": func(_ context.Context, jobs []ackbox.Job) []core.Outcome { return all(core.Unknown, jobs) },
		"too few": func(context.Context, []ackbox.Job) []core.Outcome { return nil },
		"no such": func(_ context.Context, jobs []ackbox.Job) []core.Outcome { return all(99, jobs) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				o := newOutbox(3)
				var answering atomic.Bool
				batches := 0
				b := &broker{publish: func(ctx context.Context, jobs []ackbox.Job) []core.Outcome {
					if answering.Load() {
						return all(core.Acked, jobs)
					}
					batches++
					return publish(ctx, jobs)
				}}
				d := newDispatcher(t, o, b, dispatcher.Config{InFlight: 1})
				stop := run(t, d)
				advance(time.Minute)
				if batches < 10 || batches > 25 {
					t.Errorf("%d batches in a minute without answers, want pauses that grow to 5 s", batches)
				}
				for _, tr := range o.recorded {
					if tr.To != ackbox.Pending || tr.Charge || tr.Error != "" || tr.After != 0 {
						t.Fatalf("recorded %+v", tr)
					}
				}
				answering.Store(true)
				advance(6 * time.Second)
				stop()
				if n := o.states()[ackbox.Sent]; n != 3 || d.Stats().Unknown != int64(3*batches) {
					t.Errorf("%d jobs sent in the end, stats %+v", n, d.Stats())
				}
			})
		})
	}
}

// A destination that does not answer, while the broker does, is put off, later
// each time up to 30 s, and does not slow the dispatcher down.
func TestStalledIsPutOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOutbox(2)
		o.pending[1].Resend = 50
		batches := 0
		b := &broker{publish: func(_ context.Context, jobs []ackbox.Job) []core.Outcome {
			batches++
			outcomes := all(core.Unknown, jobs)
			for i := range outcomes {
				outcomes[i].Stalled = true
			}
			return outcomes
		}}
		d := newDispatcher(t, o, b, dispatcher.Config{InFlight: 1, Backoff: linear{}})
		stop := run(t, d)
		advance(time.Second)
		stop()
		for i, want := range []time.Duration{linear{}.Next(1), 30 * time.Second} {
			if tr := o.recorded[i]; tr.To != ackbox.Pending || tr.Charge || tr.Error != "" || tr.After != want {
				t.Errorf("recorded %+v, want it put off by %v", tr, want)
			}
		}
		if batches < 4 {
			t.Errorf("%d batches in a second: the dispatcher paused", batches)
		}
	})
}

// linear is a backoff without jitter.
type linear struct{}

// Next implements retry.Policy.
func (linear) Next(attempt int) time.Duration { return time.Duration(attempt) * time.Second }

// Part of a batch may be answered.
func TestTooFewOutcomes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOutbox(3)
		b := &broker{publish: func(_ context.Context, jobs []ackbox.Job) []core.Outcome {
			return all(core.Acked, jobs)[:1] // one job of each batch
		}}
		stop := run(t, newDispatcher(t, o, b, dispatcher.Config{}))
		advance(time.Minute)
		stop()
		if states := o.states(); states[ackbox.Sent] != 3 || states[ackbox.Pending] != 2+1 {
			t.Errorf("recorded %v", states)
		}
	})
}

func TestNegativeBackoffCountsAsNone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOutbox(1)
		b := &broker{publish: func(_ context.Context, jobs []ackbox.Job) []core.Outcome { return all(core.Returned, jobs) }}
		var backoff retry.Policy = negative{}
		stop := run(t, newDispatcher(t, o, b, dispatcher.Config{Backoff: backoff}))
		synctest.Wait()
		stop()
		if len(o.recorded) != 1 || o.recorded[0].After != 0 {
			t.Errorf("recorded %+v", o.recorded)
		}
	})
}

type negative struct{}

func (negative) Next(int) time.Duration { return -time.Hour }
