package storetest

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"gorm.io/gorm"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/outbox"
)

// story is a job's history in short.
func story(entry outbox.Entry) (told []string) {
	for _, h := range entry.History {
		told = append(told, fmt.Sprintf("%s in try %d, %d times: %s", h.What, h.Attempt, max(1, h.Times), h.Error))
	}
	return told
}

// A job's history says what happened to it, to which try, in whose hands, and for how
// long it ran there.
func history(e *env) {
	me := e.worker()
	id := e.enqueueAs(ackbox.Sent)
	resend := 0
	say := func(attempt int, t core.Transition) {
		e.Helper()
		t.ID, t.Attempt, t.Resend, t.Holder = id, attempt, resend, me
		e.wantVerdicts(e.finish(t), core.Recorded)
		if resend++; t.Charge {
			resend = 0
		}
		e.set(id, e.inState(ackbox.Sent))
	}
	say(1, core.Transition{To: ackbox.Pending, Charge: true, Error: "card declined", Ran: 1234 * time.Millisecond})
	for i := range 60 { // they do not push out what was before
		say(2, core.Transition{To: ackbox.Pending, Ran: time.Duration(i), Error: fmt.Sprint("busy ", i)})
	}
	say(2, core.Transition{To: ackbox.Pending, NoOutcome: true, Error: "no handler"}) // it has not run
	say(2, core.Transition{To: ackbox.Pending, Charge: true})
	say(3, core.Transition{To: ackbox.Pending})
	e.wantVerdicts(e.finish(core.Transition{ID: id, Attempt: 3, Holder: me, To: ackbox.Dead, Error: "enough", Ran: time.Hour}), core.Recorded)

	got := e.get(id)
	want := []string{
		"failed in try 1, 1 times: card declined", "put off in try 2, 60 times: busy 59", "failed in try 2, 1 times: ",
		"put off in try 3, 1 times: ", "given up in try 3, 1 times: enough",
	}
	if !slices.Equal(story(got), want) {
		e.Fatalf("history\n%q, want\n%q", story(got), want)
	}
	for _, h := range got.History {
		e.near("history", h.At, 0)
		if h.By != me || h.SentAt == nil || h.SentAt.Location() != time.UTC || h.At.Location() != time.UTC {
			e.Errorf("entry %+v", h)
		}
	}
	first, put, last := got.History[0], got.History[1], got.History[4]
	if first.Ran != 1234*time.Millisecond || put.Ran != 59 || last.Ran != time.Hour {
		e.Errorf("ran %v, %v, %v", first.Ran, put.Ran, last.Ran)
	}
	if put.First == nil || put.First.After(put.At) || put.First.Before(first.At) || first.First != nil || !last.SentAt.Equal(*got.SentAt) {
		e.Errorf("put off first at %v, at last %v; sent %v", put.First, put.At, last.SentAt)
	}
	for _, state := range []ackbox.State{ackbox.Sent, ackbox.Done} {
		id := e.enqueue()
		e.relay(1, acked)
		if state == ackbox.Done {
			e.finish(core.Transition{ID: id, Attempt: 1, Holder: me, To: ackbox.Done, Ran: time.Second})
		}
		if got := e.get(id); got.State != state || got.History != nil {
			e.Errorf("the straight way is history: %+v", got)
		}
	}
}

// Neither the broker's answers nor sweeps are forgotten.
func historyOfRoads(e *env) {
	refuse := func(id string, to ackbox.State, publish int) {
		e.Helper()
		e.wantVerdicts(e.finish(core.Transition{ID: id, Attempt: 1, To: to, Error: fmt.Sprint("publish ", publish)}), core.Recorded)
		e.set(id, "state = 'pending'")
	}
	id := e.enqueue()
	refuse(id, ackbox.Nacked, 1)
	refuse(id, ackbox.Nacked, 2)
	refuse(id, ackbox.Refused, 3)
	e.set(id, "state = 'sent', sent_at = "+e.at(-3*time.Hour)+", seen_at = "+e.at(-3*time.Hour))
	for range 2 {
		if n, err := e.store().Resend(e.ctx, "default", time.Now(), time.Hour, 10); n != 1 || err != nil {
			e.Fatalf("resent %d, %v", n, err)
		}
		e.set(id, "state = 'sent', seen_at = "+e.at(-3*time.Hour))
	}
	e.witness()
	dead := e.worker()
	e.silent(dead)
	waits := e.enqueueAs(ackbox.Sent)
	e.held(id, dead, true)
	e.held(waits, dead, false)
	if n, err := e.store().TakeBack(e.ctx, 10); n != 2 || err != nil {
		e.Fatalf("took back %d, %v", n, err)
	}
	refuse(id, ackbox.Nacked, 1)

	got := e.get(id)
	want := []string{
		"refused in try 1, 3 times: publish 3", "resent in try 1, 2 times: ", "taken back in try 1, 1 times: ", "refused in try 1, 1 times: publish 1",
	}
	if !slices.Equal(story(got), want) {
		e.Fatalf("history\n%q, want\n%q", story(got), want)
	}
	if h := got.History; h[0].SentAt != nil || h[1].SentAt == nil || time.Since(*h[1].SentAt) < 2*time.Hour || h[2].By != dead || h[1].By != "" {
		e.Errorf("history %+v", h)
	}
	if got := e.get(waits); got.History != nil {
		e.Errorf("what only waited has a history: %+v", got.History)
	}
	// FailAction's own transaction gives a job up.
	id = e.enqueueAs(ackbox.Sent)
	e.held(id, dead, true)
	ctx := ackbox.WithRun(e.ctx, ackbox.Run{Job: e.get(id).Job, Cause: errors.New("enough")})
	e.must(e.db.Transaction(func(tx *gorm.DB) error { return outbox.Complete(ctx, tx) }))
	if got := e.get(id); !slices.Equal(story(got), []string{"given up in try 1, 1 times: enough"}) || got.History[0].By != dead || got.History[0].SentAt == nil {
		e.Errorf("history %+v", got.History)
	}
}

// Whatever somebody has written into a history, what happens next is added to it, and
// no neighbour is kept back.
func historyEdited(e *env) {
	for _, edited := range []string{
		`[7]`, `[[]]`, `[null]`, `["put off"]`, `[{}]`, `[{"what": 7, "attempt": {}}]`, `[{"what": "refused", "attempt": "1"}]`,
		`[{"what": "refused", "attempt": 1, "times": "x"}]`, `[{"what": "refused", "attempt": 1, "times": 1e300}]`,
		`[{"what": "refused", "attempt": 1, "times": 123456789012, "first": []}]`, `[{"what": "refused", "attempt": 1, "times": -5}]`,
	} {
		id := e.enqueue()
		e.set(id, "history = '"+edited+"'")
		e.wantVerdicts(e.finish(core.Transition{ID: id, Attempt: 1, To: ackbox.Nacked, Error: "full"}), core.Recorded)
		if got := e.get(id); len(got.History) == 0 || got.LastError != "full" {
			e.Errorf("%s: %+v", edited, got.History)
		}
		var raw string
		e.must(e.db.WithContext(e.ctx).Raw("SELECT CAST(history AS text) FROM " + e.table() + " WHERE id = '" + id + "'").Scan(&raw).Error)
		e.wantError(errors.New(raw), `"full"`)
	}
}
