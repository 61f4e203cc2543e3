package dispatcher_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/dispatcher"
	"github.com/ackbox/ackbox/internal/core"
)

// told is a PublishHook that notes what it is told.
type told struct {
	mu   sync.Mutex
	list []ackbox.Published
}

// Published implements ackbox.PublishHook.
func (h *told) Published(_ context.Context, p ackbox.Published) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.list = append(h.list, p)
}

// broken is a PublishHook that panics.
type broken struct{}

// Published implements ackbox.PublishHook.
func (broken) Published(context.Context, ackbox.Published) { panic("no metrics today") }

// Hooks are told of each job what the broker said, when the ledger has it, whatever
// another hook does.
func TestHooksAreToldWhatWasPublished(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOutbox(4)
		o.pending[0].Waited = 7 * time.Second
		var stamps []time.Time
		b := &broker{publish: func(_ context.Context, jobs []ackbox.Job) []core.Outcome {
			if len(stamps) > 0 { // what is claimed again
				return all(core.Acked, jobs)
			}
			for _, job := range jobs {
				stamps = append(stamps, job.SentAt)
			}
			time.Sleep(3 * time.Millisecond)
			return []core.Outcome{
				{Status: core.Acked},
				{Status: core.NackedByBroker, Reason: "full"},
				{Status: core.Unknown, Reason: "no answer", Stalled: true},
				{Status: core.Unknown, Unpublished: true, Stalled: true},
			}
		}}
		h, began := &told{}, time.Now()
		committed := false
		o.commit = func() error {
			if !committed && len(h.list) > 0 {
				t.Error("told before it is in the ledger")
			}
			committed = true
			return nil
		}
		o.pending[3].Queue = "q" // it stays as it is: nothing to tell
		var log bytes.Buffer
		d := newDispatcher(t, o, b, dispatcher.Config{Hooks: []ackbox.Hook{broken{}, h}, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		stop := run(t, d)
		synctest.Wait()
		time.Sleep(4 * time.Millisecond)
		synctest.Wait()
		stop()
		if len(h.list) < 3 {
			t.Fatalf("told of %d jobs: %+v", len(h.list), h.list)
		}
		var got []string
		for _, p := range h.list[:3] {
			got = append(got, fmt.Sprintf("%s %s %q waited=%v took=%v", p.Job.ID, p.Status, p.Error, p.Waited, p.Took))
			if !p.At.Equal(began) || !p.Job.SentAt.Equal(began) {
				t.Errorf("job %s was sent at %v, which began %v", p.Job.ID, p.At, began)
			}
		}
		want := []string{
			`1 sent "" waited=7s took=3ms`,
			`2 refused "publish 1: nacked by the broker: full" waited=0s took=3ms`,
			`3 unknown "no answer" waited=0s took=3ms`,
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("told\n%s, want\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		for _, p := range h.list[3:] {
			if p.Job.ID != "3" && p.Job.ID != "4" {
				t.Errorf("job %s was told of twice", p.Job.ID)
			}
		}
		for _, at := range stamps {
			if !at.Equal(began) {
				t.Errorf("the message says that it was sent at %v", at)
			}
		}
		if s := d.Stats(); s.Refused != 1 || !strings.Contains(log.String(), "no metrics today") {
			t.Errorf("%+v, and %s", s, &log)
		}
	})
}

// What is not in the ledger has not happened.
func TestHooksAreNotToldOfFailedBatches(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o, h := newOutbox(1), &told{}
		fail := true
		o.commit = func() error {
			if fail {
				fail = false
				return errors.New("connection lost")
			}
			return nil
		}
		stop := run(t, newDispatcher(t, o, &broker{}, dispatcher.Config{Hooks: []ackbox.Hook{h}}))
		advance(time.Minute)
		stop()
		if len(h.list) != 1 || h.list[0].Status != "sent" {
			t.Errorf("told %+v, want the second batch alone", h.list)
		}
	})
}

// Nobody pays for what nobody asked for.
func TestNoHooksNoStamps(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOutbox(1)
		b := &broker{publish: func(_ context.Context, jobs []ackbox.Job) []core.Outcome {
			if !jobs[0].SentAt.IsZero() {
				t.Error("the message carries its time")
			}
			return all(core.Acked, jobs)
		}}
		stop := run(t, newDispatcher(t, o, b, dispatcher.Config{Hooks: []ackbox.Hook{onlyStarts{}}}))
		synctest.Wait()
		stop()
	})
}

// onlyStarts implements a hook that dispatchers never call.
type onlyStarts struct{}

// Started implements ackbox.StartHook.
func (onlyStarts) Started(context.Context, ackbox.Job) {}

func TestHooksAreChecked(t *testing.T) {
	t.Parallel()
	for name, hook := range map[string]ackbox.Hook{"nil": nil, "typed nil": (*told)(nil), "no hook": 7} {
		_, err := dispatcher.New(newOutbox(0), &broker{}, dispatcher.Config{Hooks: []ackbox.Hook{&told{}, hook}})
		if err == nil || !strings.Contains(err.Error(), "dispatcher: Config.Hooks[1]") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
