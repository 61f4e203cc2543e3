package dispatcher_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/dispatcher"
	"github.com/ackbox/ackbox/internal/core"
)

// allOf answers every message in the same way.
func allOf(status func() core.Status) func(context.Context, []ackbox.Job) []core.Outcome {
	return func(_ context.Context, jobs []ackbox.Job) []core.Outcome {
		outcomes := make([]core.Outcome, len(jobs))
		for i := range outcomes {
			outcomes[i] = core.Outcome{Status: status(), Reason: "the queue is full"}
		}
		return outcomes
	}
}

// A full queue with a million jobs costs a batch for each pause, and its jobs flow as
// soon as it takes one: no pause is longer than half a minute.
func TestQueueThatRefusesIsLeftAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOutbox(1000)
		var published atomic.Int64
		var free atomic.Bool
		b := &broker{publish: allOf(func() core.Status {
			published.Add(1)
			if free.Load() {
				return core.Acked
			}
			return core.NackedByBroker
		})}
		d := newDispatcher(t, o, b, dispatcher.Config{BatchSize: 10, InFlight: 1})
		stop := run(t, d)
		time.Sleep(2 * time.Minute)
		// At 0, 1, 3, 7, 15, 31, 61, 91 s and a little more each.
		if n := published.Load(); n != 80 {
			t.Errorf("%d publishes of 1,000 jobs in two minutes, want 8 batches of 10", n)
		}
		o.mu.Lock()
		if len(o.except) != 1 || o.except[0] != "q" {
			t.Errorf("the last claim left out %q", o.except)
		}
		o.mu.Unlock()
		free.Store(true)
		time.Sleep(31 * time.Second)
		if n := published.Load(); n < 1000 {
			t.Errorf("%d publishes half a minute after the queue was free", n)
		}
		stop()
	})
}

// A message that no broker would take keeps none of its queue from being published.
func TestMessageThatIsRefusedPausesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOutbox(1)
		b := &broker{publish: func(_ context.Context, jobs []ackbox.Job) []core.Outcome {
			outcomes := make([]core.Outcome, len(jobs))
			for i, job := range jobs {
				outcomes[i] = core.Outcome{Status: core.Acked}
				if job.ID == "1" {
					outcomes[i] = core.Outcome{Status: core.NackedByBroker, Reason: "too large", OfMessage: true}
				}
			}
			return outcomes
		}}
		d := newDispatcher(t, o, b, dispatcher.Config{})
		stop := run(t, d)
		time.Sleep(500 * time.Millisecond)
		o.add(1)
		time.Sleep(300 * time.Millisecond) // more than PollInterval
		stop()
		if s := d.Stats(); s.Sent != 1 || s.Refused != 1 {
			t.Errorf("stats %+v: its neighbour was not sent", s)
		}
	})
}

// An outage of an hour is told a few times, and with the numbers of what was not told.
func TestOutageIsToldOnceAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOutbox(1)
		o.claim = func() error { return errors.New("no database") }
		var log bytes.Buffer
		d := newDispatcher(t, o, &broker{}, dispatcher.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		stop := run(t, d)
		time.Sleep(time.Hour)
		stop()
		if n := strings.Count(log.String(), "batches fail"); n < 50 || n > 61 {
			t.Errorf("told %d times in an hour", n)
		}
		if !strings.Contains(log.String(), "failures=1\n") {
			t.Errorf("the first is not told at once:\n%.300s", &log)
		}
	})
}

// A store whose jobs the broker could only return is refused at once.
func TestNewRefusesAQueueThatTheBrokerDoesNotKnow(t *testing.T) {
	t.Parallel()
	_, err := dispatcher.New(otherQueues{newOutbox(0)}, &broker{}, dispatcher.Config{})
	if err == nil || !strings.Contains(err.Error(), `"mail"`) || !strings.Contains(err.Error(), `["q"]`) {
		t.Errorf("New: %v; want an error that names both", err)
	}
}

type otherQueues struct{ *outbox }

func (otherQueues) Queues() []string { return []string{"q", "mail"} }
