package storetest

import (
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
)

// finishByHolder: whoever is done first has done it; anything else is for the one that
// has the job to say.
func finishByHolder(e *env) {
	for _, to := range []core.Transition{
		{To: ackbox.Done}, {To: ackbox.Done, Error: "kept"}, {To: ackbox.Dead, Error: "no"}, {To: ackbox.Pending, Charge: true, Error: "no"}, {To: ackbox.Pending},
	} {
		e.eachHolder(ackbox.Sent, func(what, me, id string, free bool, holder string) {
			t := to
			t.ID, t.Attempt, t.Holder = id, 1, me
			want, state := core.Recorded, t.To
			if !free && t.To != ackbox.Done {
				want, state = core.Stale, ackbox.Sent
			}
			e.wantVerdicts(e.finish(t), want)
			e.wantState(state, id)
			got := e.get(id)
			switch {
			case want == core.Stale && (got.Holder != holder || got.Starts != 3 || got.Attempt != 1):
				e.Errorf("%s, %s: the row of another is %+v", what, t.To, got)
			case state == ackbox.Pending && (got.Holder != "" || got.StartedAt != nil || got.Starts != 0):
				e.Errorf("%s: an outcome came, and the row is %+v", what, got)
			case state.Final() && got.Holder != holder:
				e.Errorf("%s: finished %+v", what, got)
			}
		})
	}
	// A dispatcher is no worker: what it records takes nothing out of anybody's hands.
	me := e.worker()
	id := e.enqueue()
	e.held(id, me, true)
	e.wantVerdicts(e.finish(core.Transition{ID: id, Attempt: 1, To: ackbox.Pending}), core.Recorded)
	if got := e.get(id); got.Holder != me || got.Starts != 3 || got.StartedAt == nil || got.Resend != 1 {
		e.Errorf("an unknown outcome made %+v", got)
	}
	// A stale copy does not set back the newest, whoever has that. Whoever has the job
	// on record speaks for it.
	other := e.worker()
	e.wantVerdicts(e.finish(core.Transition{ID: id, Attempt: 1, Holder: other, To: ackbox.Pending}), core.Stale)
	e.set(id, "holder = NULL, started_at = NULL")
	e.wantVerdicts(e.finish(core.Transition{ID: id, Attempt: 1, Holder: other, To: ackbox.Pending}), core.Stale)
	e.wantVerdicts(e.finish(core.Transition{ID: id, Attempt: 1, Resend: 2, Holder: other, To: ackbox.Pending}), core.Stale)
	e.wantVerdicts(e.hold(other, core.Holding{ID: id, Attempt: 1, Running: time.Second}), core.Recorded)
	e.wantVerdicts(e.finish(core.Transition{ID: id, Attempt: 1, Holder: other, To: ackbox.Pending}), core.Recorded)
	e.wantVerdicts(e.finish(core.Transition{ID: id, Attempt: 1, Holder: other, To: ackbox.Pending}), core.Stale)
	// A try that failed failed, whichever copy it was.
	e.wantVerdicts(e.finish(core.Transition{ID: id, Attempt: 1, Holder: other, To: ackbox.Pending, Charge: true}), core.Recorded)

	_, err := e.store().Finish(e.ctx, []core.Transition{{ID: id, Attempt: 2, Holder: "me", To: ackbox.Done}})
	e.wantError(err, id, "UUID")
}

// finishCountsStarts: what had no outcome stays counted; a start that is taken back does
// not, and after an outcome counting begins anew.
func finishCountsStarts(e *env) {
	for _, tt := range []struct {
		name    string
		holder  bool // the job is on record for the one that tells
		running bool
		t       core.Transition
		starts  int
	}{
		{"an answer", true, true, core.Transition{To: ackbox.Pending}, 0},
		{"a failure", true, true, core.Transition{To: ackbox.Pending, Charge: true}, 0},
		{"a failure is an outcome", true, true, core.Transition{To: ackbox.Pending, Charge: true, NoOutcome: true}, 0},
		{"a start taken back", true, true, core.Transition{To: ackbox.Pending, NoOutcome: true}, 2},
		{"it waited", true, false, core.Transition{To: ackbox.Pending, NoOutcome: true}, 3},
		{"nobody's", false, false, core.Transition{To: ackbox.Pending, NoOutcome: true}, 3},
		{"done", true, true, core.Transition{To: ackbox.Done}, 3},
		{"given up", true, true, core.Transition{To: ackbox.Dead}, 3},
	} {
		me := e.worker()
		id := e.enqueueAs(ackbox.Sent)
		e.held(id, me, tt.running)
		if !tt.holder {
			e.set(id, "holder = NULL")
		}
		tt.t.ID, tt.t.Attempt, tt.t.Holder = id, 1, me
		e.wantVerdicts(e.finish(tt.t), core.Recorded)
		if got := e.get(id).Starts; got != tt.starts {
			e.Errorf("%s: %d starts, want %d", tt.name, got, tt.starts)
		}
	}
}

// finishRefusals: a try is refused since its first refusal.
func finishRefusals(e *env) {
	id := e.enqueue()
	since := func() (s string) {
		e.Helper()
		e.must(e.db.Raw("SELECT coalesce(CAST(refused_at AS text), '') FROM " + e.table() + " WHERE id = '" + id + "'").Scan(&s).Error)
		return s
	}
	if since() != "" {
		e.Error("a new job was refused")
	}
	nacked := core.Transition{ID: id, Attempt: 1, To: ackbox.Nacked, Error: "full"}
	e.wantVerdicts(e.finish(nacked), core.Recorded)
	e.set(id, "refused_at = "+e.at(-time.Hour))
	first := since()
	e.set(id, "state = 'pending'")
	var claimed ackbox.Job
	e.relay(1, func(job ackbox.Job) core.Transition {
		claimed = job
		return core.Transition{ID: id, Attempt: 1, To: ackbox.Nacked, Error: "full"}
	})
	if claimed.ID != "" && (claimed.RefusedFor-time.Hour).Abs() > time.Minute {
		e.Errorf("claimed as refused for %v", claimed.RefusedFor)
	}
	e.set(id, "state = 'pending', due_at = "+e.at(-time.Second))
	e.wantVerdicts(e.finish(core.Transition{ID: id, Attempt: 1, To: ackbox.Refused, Error: "full"}), core.Recorded)
	if got := e.get(id); since() != first || got.PublishAttempt != 3 && got.PublishAttempt != 2 || got.LastError != "full" {
		e.Errorf("refused since %s, was %s: %+v", since(), first, got)
	}
	for name, change := range map[string]func(){
		"charged":  func() { e.finish(core.Transition{ID: id, Attempt: 1, To: ackbox.Pending, Charge: true}) },
		"sent":     func() { e.relay(100, acked) },
		"done":     func() { e.finish(core.Transition{ID: id, Attempt: 1, To: ackbox.Done}) },
		"done too": func() { e.finish(core.Transition{ID: id, Attempt: 1, To: ackbox.Done, Error: "e"}) },
		"complete": func() {
			e.must(effect(e.inHandler(id, nil), e.db, nil))
		},
	} {
		id = e.enqueue()
		e.set(id, "refused_at = "+e.at(-time.Hour))
		if name == "charged" {
			// An unknown outcome says nothing about it.
			e.finish(core.Transition{ID: id, Attempt: 1, To: ackbox.Pending})
			if since() == "" {
				e.Error("an unknown outcome ended a refusal")
			}
		}
		change()
		if since() != "" {
			e.Errorf("%s: refused still", name)
		}
	}
}
