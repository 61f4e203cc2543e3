package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/outbox"
)

func (e *env) finish(transitions ...core.Transition) []core.Verdict {
	e.Helper()
	verdicts, err := e.store().Finish(e.ctx, transitions)
	e.must(err)
	return verdicts
}

func (e *env) wantVerdicts(got []core.Verdict, want ...core.Verdict) {
	e.Helper()
	if !slices.Equal(got, want) {
		e.Errorf("verdicts %v, want %v", got, want)
	}
}

func finishDuplicates(e *env) {
	const recorded, stale, busy = core.Recorded, core.Stale, core.Busy
	t := func(id string, attempt int, to ackbox.State) core.Transition {
		return core.Transition{ID: id, Attempt: attempt, To: to, Error: "e"}
	}
	id := e.enqueueAs(ackbox.Sent)
	e.wantVerdicts(e.finish(t(id, 1, ackbox.Done), t(id, 1, ackbox.Done)), recorded, stale)

	// Done is the strongest, wherever it stands.
	id = e.enqueueAs(ackbox.Sent)
	e.wantVerdicts(e.finish(t(id, 1, ackbox.Dead), t(id, 1, ackbox.Done), t(id, 1, ackbox.Pending)), stale, recorded, stale)
	e.wantState(ackbox.Done, id)

	// Else the first counts.
	id = e.enqueueAs(ackbox.Sent)
	e.wantVerdicts(e.finish(t(id, 1, ackbox.Dead), t(id, 1, ackbox.Pending)), recorded, stale)
	e.wantState(ackbox.Dead, id)
	id = e.enqueueAs(ackbox.Sent)
	e.wantVerdicts(e.finish(t(id, 1, ackbox.Pending), t(id, 1, ackbox.Pending)), recorded, stale)
	if got := e.get(id).Resend; got != 1 {
		e.Errorf("resend is %d after one snooze told twice", got)
	}

	// Two tries of one job: the second is not swallowed, it is to be asked again.
	id = e.enqueueAs(ackbox.Sent)
	first, second := t(id, 1, ackbox.Pending), t(id, 2, ackbox.Done)
	first.Charge = true
	e.set(id, "attempt = 2")
	e.wantVerdicts(e.finish(t(id, 1, ackbox.Done), second), stale, busy)
	e.wantVerdicts(e.finish(second), recorded)
	id = e.enqueueAs(ackbox.Sent)
	first.ID, second.ID, second.To = id, id, ackbox.Dead
	e.wantVerdicts(e.finish(first, second), recorded, busy)
	e.wantVerdicts(e.finish(first, second), stale, busy)
	e.wantVerdicts(e.finish(second), recorded)
}

func finishForeign(e *env) {
	good, bad := e.enqueueAs(ackbox.Sent), e.enqueueAs(ackbox.Sent)
	for i, t := range []core.Transition{
		{ID: "", Attempt: 1},
		{ID: "7", Attempt: 1},
		{ID: "'; DROP TABLE orders; --", Attempt: 1},
		{ID: "{" + good + "}", Attempt: 1},
		{ID: strings.ToUpper(good), Attempt: 1},
		{ID: good + "\x00", Attempt: 1},
		{ID: good + "\xff", Attempt: 1},
		{ID: "urn:uuid:" + good, Attempt: 1},
		{ID: outbox.NewID(), Attempt: 1},
		{ID: "00000000-0000-0000-0000-000000000000", Attempt: 1},
		{ID: bad, Attempt: 0},
		{ID: bad, Attempt: -1},
		{ID: bad, Attempt: 1 << 40},
		{ID: bad, Attempt: -1 << 40},
	} {
		for _, to := range []ackbox.State{ackbox.Done, ackbox.Dead} {
			id := e.enqueueAs(ackbox.Sent)
			t.To = to
			got := e.finish(t, core.Transition{ID: id, Attempt: 1, To: ackbox.Done}, t, core.Transition{ID: good, Attempt: i + 1, To: ackbox.Pending, Charge: true})
			// No row has such an id, or it is at another try.
			want, last := core.Missing, core.Recorded
			if t.ID == bad {
				want = core.Stale
			}
			if to != ackbox.Done {
				last = core.Stale
			}
			e.wantVerdicts(got, want, core.Recorded, want, last)
		}
	}
	e.wantState(ackbox.Sent, bad)
	e.wantVerdicts(e.finish())

	// What no state is, is a mistake in the program, told before anything happens.
	_, err := e.store().Finish(e.ctx, []core.Transition{{ID: bad, Attempt: 1, To: ackbox.Done}, {ID: good, Attempt: 1, To: "lost"}})
	e.wantError(err, "lost", good)
	e.wantState(ackbox.Sent, bad)
}

func finishMany(e *env) {
	items := make([]outbox.Item, 2001) // three statements, the last for one
	batch := make([]core.Transition, len(items))
	for i := range items {
		id := e.newID()
		items[i] = outbox.Item{Args: note{"x"}, Options: []outbox.Option{outbox.ID(id)}}
		batch[i] = core.Transition{ID: id, Attempt: 1, To: ackbox.Done}
		if i%10 == 0 {
			batch[i].To, batch[i].Error = ackbox.Dead, strings.Repeat("x", 5000)
		}
	}
	s := e.store()
	e.must(e.db.Transaction(func(tx *gorm.DB) error { return outbox.EnqueueAll(e.ctx, tx, items...) }))
	for i, v := range e.finish(batch...) {
		if v != core.Recorded {
			e.Fatalf("transition %d: %v", i, v)
		}
	}
	if c, err := s.Counts(e.ctx); err != nil || c[ackbox.Done] != 1800 || c[ackbox.Dead] != 201 {
		e.Errorf("counts %v, %v", c, err)
	}
}

func finishErrors(e *env) {
	id := e.enqueueAs(ackbox.Sent)
	for i := 1; i <= 60; i++ {
		e.wantVerdicts(e.finish(core.Transition{ID: id, Attempt: i, To: ackbox.Pending, Charge: true, Error: fmt.Sprintf("failure %d", i)}), core.Recorded)
	}
	got := e.get(id)
	if len(got.History) != 50 || got.History[0].Error != "failure 11" || got.History[49].Error != "failure 60" || got.LastError != "failure 60" || got.Attempt != 61 {
		e.Errorf("%d errors, from %+v, last %q", len(got.History), got.History[0], got.LastError)
	}
	for i, f := range got.History {
		e.near("failure", f.At, 0)
		if f.Attempt != i+11 || f.At.Location() != time.UTC {
			e.Errorf("failure %d is %+v", i, f)
		}
	}
	for text, want := range map[string]string{
		"nul \x00 byte":            "nul \uFFFD byte",
		"bad \xff\xfe UTF-8":       "bad \uFFFD UTF-8",
		`quotes ' " \ {} ? $1`:     `quotes ' " \ {} ? $1`,
		"<b>ünï\u2028\U0001F600":   "<b>ünï\u2028\U0001F600",
		strings.Repeat("é", 5000):  strings.Repeat("é", 1000) + "…",
		strings.Repeat("\x00", 10): strings.Repeat("\uFFFD", 10),
	} {
		for _, complete := range []bool{false, true} {
			id := e.enqueueAs(ackbox.Sent)
			if complete {
				ctx := ackbox.WithRun(e.ctx, ackbox.Run{Job: e.get(id).Job, Cause: errors.New(text)})
				e.must(e.db.Transaction(func(tx *gorm.DB) error { return outbox.Complete(ctx, tx) }))
			} else {
				e.finish(core.Transition{ID: id, Attempt: 1, To: ackbox.Dead, Error: text})
			}
			if got := e.get(id); got.LastError != want || len(got.History) != 1 || got.History[0].Error != want {
				e.Errorf("error %.40q is kept as %.40q, %.40v", text, got.LastError, got.History)
			}
		}
	}
}

func finishCancelled(e *env) {
	id := e.enqueueAs(ackbox.Sent)
	stopped, stop := context.WithCancel(e.ctx)
	stop()
	_, err := e.store().Finish(stopped, []core.Transition{{ID: id, Attempt: 1, To: ackbox.Done}})
	if !errors.Is(err, context.Canceled) {
		e.Errorf("a cancelled context: %v", err)
	}
	e.wantState(ackbox.Sent, id)
}
