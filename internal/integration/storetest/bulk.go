package storetest

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/outbox"
)

// carry carries operations on, in steps of limit, until none runs, and returns how many
// jobs that changed.
func (e *env) carry(limit int) (changed int) {
	e.Helper()
	for {
		n, more, err := e.store().CarryOn(e.ctx, limit)
		e.must(err)
		changed += n
		if !more {
			return changed
		}
		if n > limit {
			e.Fatalf("a step changed %d jobs, want %d at most", n, limit)
		}
	}
}

func (e *env) begin(action outbox.Action, f outbox.Filter) outbox.Operation {
	e.Helper()
	op, err := e.store().StartOperation(outbox.By(e.ctx, "ann"), action, f, "because")
	e.must(err)
	return op
}

// wantOperation checks how far an operation has come.
func (e *env) wantOperation(id string, state outbox.OperationState, changed int64) outbox.Operation {
	e.Helper()
	op, err := e.store().Operation(e.ctx, id)
	e.must(err)
	if op.State != state || op.Changed != changed || (op.FinishedAt == nil) != (state == outbox.OperationRunning) {
		e.Errorf("the operation is %+v, want it %s with %d changed", op, state, changed)
	}
	return op
}

func operationRefused(e *env) {
	s := e.store()
	for _, bad := range []struct {
		action outbox.Action
		f      outbox.Filter
		words  string
	}{
		{outbox.ActionRequeue, outbox.Filter{}, "Filter.All"},
		{outbox.ActionRequeue, outbox.Filter{State: ackbox.Done}, "Filter.State"},
		{outbox.ActionCancel, outbox.Filter{State: ackbox.Sent}, "Filter.State"},
		{outbox.ActionCancel, outbox.Filter{State: "lost"}, "Filter.State"},
		{outbox.ActionRunNow, outbox.Filter{Running: true}, "Filter.Running"},
		{outbox.ActionDelete, outbox.Filter{Kind: "\xff"}, "Filter.Kind"},
		{outbox.ActionDelete, outbox.Filter{Error: "\x00"}, "Filter.Error"},
		{outbox.ActionDelete, outbox.Filter{Before: time.Date(12000, 1, 1, 0, 0, 0, 0, time.UTC)}, "Filter.Before"},
		{outbox.ActionPause, outbox.Filter{All: true}, "pause"},
		{"drop", outbox.Filter{All: true}, "drop"},
	} {
		_, err := s.StartOperation(e.ctx, bad.action, bad.f, "")
		e.wantError(err, "outbox: ", bad.words)
		_, err = s.Rehearse(e.ctx, bad.action, bad.f)
		e.wantError(err, "outbox: ", bad.words)
	}
	if _, err := s.StartOperation(e.ctx, outbox.ActionDelete, outbox.Filter{}, ""); !errors.Is(err, outbox.ErrEmptyFilter) {
		e.Errorf("the empty filter: %v", err)
	}
	if n := e.rows(e.side("operations")); n != 0 {
		e.Errorf("%d operations began", n)
	}
	if n, more, err := s.CarryOn(e.ctx, 10); n != 0 || more || err != nil {
		e.Errorf("carried on nothing: %d, %v, %v", n, more, err)
	}
}

// Each action changes what it is for, of what the filter says, and nothing else.
func operationStates(e *env) {
	s := e.store()
	const dead, cancelled, done, sent = ackbox.Dead, ackbox.Cancelled, ackbox.Done, ackbox.Sent
	const pending, nacked, refused = ackbox.Pending, ackbox.Nacked, ackbox.Refused
	for _, tt := range []struct {
		action  outbox.Action
		state   ackbox.State
		changes []ackbox.State
		to      ackbox.State
	}{
		{outbox.ActionRequeue, "", []ackbox.State{dead}, pending},
		{outbox.ActionRequeue, cancelled, []ackbox.State{cancelled}, pending},
		{outbox.ActionCancel, "", []ackbox.State{pending, nacked, refused}, cancelled},
		{outbox.ActionCancel, nacked, []ackbox.State{nacked}, cancelled},
		{outbox.ActionRunNow, "", []ackbox.State{pending, nacked}, pending},
		{outbox.ActionRunNow, pending, []ackbox.State{pending}, pending},
		{outbox.ActionDelete, "", []ackbox.State{dead, done, cancelled}, ""},
		{outbox.ActionDelete, done, []ackbox.State{done}, ""},
	} {
		for _, key := range []string{"", "order:42"} {
			e.exec("DELETE FROM " + e.table())
			others := e.jobsInEachState(outbox.Queue("mail"), outbox.Delay(time.Hour))
			jobs := e.jobsInEachState(outbox.Key("order:42"), outbox.Delay(time.Hour))
			f := outbox.Filter{State: tt.state, Queue: "default", Key: key}
			r, err := s.Rehearse(e.ctx, tt.action, f)
			if err != nil || r.Count != (outbox.Count{N: len(tt.changes)}) || len(r.Samples) != len(tt.changes) || r.Searched < len(tt.changes) {
				e.Errorf("rehearsed %s of %+v as %+v, %v, want %d", tt.action, f, r, err, len(tt.changes))
			}
			op := e.begin(tt.action, f)
			if op.Expected.N != len(tt.changes) || op.By != "ann" || op.Reason != "because" || *op.Filter != f {
				e.Errorf("began %+v", op)
			}
			for _, one := range []map[ackbox.State]string{jobs, others} { // nothing is done before it is carried on
				for state, id := range one {
					e.wantState(state, id)
				}
			}
			if n := e.carry(2); n != len(tt.changes) {
				e.Errorf("%s of %+v changed %d, want %v", tt.action, f, n, tt.changes)
			}
			e.wantOperation(op.ID, outbox.OperationDone, int64(len(tt.changes)))
			for state, id := range others {
				e.wantState(state, id)
			}
			for _, state := range tt.changes {
				if tt.to == "" {
					if _, err := s.Get(e.ctx, jobs[state]); !errors.Is(err, outbox.ErrNotFound) {
						e.Errorf("the %s job is there: %v", state, err)
					}
				} else if got := e.get(jobs[state]); got.State != tt.to || len(got.History) != 1 || got.History[0].Operation != op.ID ||
					got.History[0].By != "ann" || got.History[0].Error != "because" {
					e.Errorf("after %s: %+v", tt.action, got)
				}
				delete(jobs, state)
			}
			for state, id := range jobs {
				e.wantState(state, id)
			}
		}
	}
}

func operationFilter(e *env) {
	s := e.store()
	old, bank, mail := e.enqueueAs(ackbox.Dead), e.enqueueAs(ackbox.Dead), e.enqueueAs(ackbox.Dead, outbox.Queue("mail"))
	other := e.enqueueAs(ackbox.Dead)
	e.set(old, "last_error = 'Bank 50% away', finished_at = "+e.at(-time.Hour))
	e.set(bank, "last_error = 'the BANK 500 is away'")
	e.set(mail, "last_error = 'no such user'")
	e.set(other, "kind = 'other'")
	hour := time.Now().Add(-30 * time.Minute)
	for _, tt := range []struct {
		f    outbox.Filter
		want []string
	}{
		{outbox.Filter{All: true}, []string{old, bank, mail, other}},
		{outbox.Filter{State: ackbox.Dead}, []string{old, bank, mail, other}},
		{outbox.Filter{Error: "bank"}, []string{old, bank}},
		{outbox.Filter{Error: "50%"}, []string{old}},
		{outbox.Filter{Error: "b_nk"}, nil},
		{outbox.Filter{Kind: "note"}, []string{old, bank, mail}},
		{outbox.Filter{Kind: "note", Queue: "default"}, []string{old, bank}},
		{outbox.Filter{Before: hour}, []string{old}},
		{outbox.Filter{After: hour}, []string{bank, mail, other}},
		{outbox.Filter{Key: "none"}, nil},
	} {
		r, err := s.Rehearse(e.ctx, outbox.ActionRequeue, tt.f)
		e.must(err)
		got := make(map[string]bool)
		for _, sample := range r.Samples {
			got[sample.ID] = true
		}
		for _, id := range tt.want {
			if !got[id] {
				e.Errorf("rehearsed %+v without %s", tt.f, id)
			}
		}
		if len(got) != len(tt.want) || r.Count.N != len(tt.want) || r.Count.More {
			e.Errorf("rehearsed %+v as %+v, want %v", tt.f, r.Count, tt.want)
		}
	}
	e.wantState(ackbox.Dead, old, bank, mail, other)
	if n := e.rows(e.side("operations")); n != 0 {
		e.Errorf("rehearsals left %d operations", n)
	}
}

// What comes into a state after an operation has begun is not what people meant.
func operationOnce(e *env) {
	s := e.store()
	var ids []string
	for i := range 6 {
		id := e.enqueueAs(ackbox.Dead)
		e.set(id, fmt.Sprintf("finished_at = %s", e.at(time.Duration(i-10)*time.Second)))
		ids = append(ids, id)
	}
	op := e.begin(outbox.ActionRequeue, outbox.Filter{Queue: "default"})
	later := e.enqueueAs(ackbox.Dead)
	e.set(later, "finished_at = "+e.at(time.Second))
	if n, more, err := s.CarryOn(e.ctx, 4); n != 4 || !more || err != nil {
		e.Fatalf("the first step changed %d, %v, %v", n, more, err)
	}
	e.wantOperation(op.ID, outbox.OperationRunning, 4)
	// One of them dies again, and another one of those to come does before its turn.
	e.set(ids[0], "state = 'dead', finished_at = "+e.at(time.Second))
	// Even a clock that went back does not make it another job.
	e.set(ids[1], "state = 'dead', finished_at = (SELECT finished_at FROM "+e.table()+" WHERE id = '"+ids[5]+"')")
	if n := e.carry(4); n != 2 {
		e.Errorf("the rest is %d jobs, want 2", n)
	}
	e.wantOperation(op.ID, outbox.OperationDone, 6)
	e.wantState(ackbox.Dead, ids[0], ids[1], later)
	e.wantState(ackbox.Pending, ids[2:]...)
	for _, id := range ids {
		if history := e.get(id).History; len(history) != 1 {
			e.Errorf("job %s was changed more than once: %+v", id, history)
		}
	}
	// Another one is another act.
	op = e.begin(outbox.ActionRequeue, outbox.Filter{All: true})
	e.exec("UPDATE " + e.table() + " SET finished_at = " + e.at(-time.Second) + " WHERE state = 'dead'")
	if n := e.carry(500); n != 3 {
		e.Errorf("the second operation changed %d, want 3", n)
	}
	e.wantOperation(op.ID, outbox.OperationDone, 3)
}

func operationStopped(e *env) {
	s := e.store()
	for range 5 {
		e.enqueueAs(ackbox.Dead)
	}
	op := e.begin(outbox.ActionRequeue, outbox.Filter{All: true})
	if n, _, err := s.CarryOn(e.ctx, 2); n != 2 || err != nil {
		e.Fatalf("the first step changed %d, %v", n, err)
	}
	bob := outbox.By(e.ctx, "bob")
	for range 2 { // the second time it is stopped already
		e.must(s.StopOperation(bob, op.ID))
	}
	e.wantOperation(op.ID, outbox.OperationStopped, 2)
	if n := e.carry(2); n != 0 {
		e.Errorf("a stopped operation changed %d", n)
	}
	// A Store that was made after it goes on with it.
	e.must(s.ContinueOperation(bob, op.ID))
	e.wantOperation(op.ID, outbox.OperationRunning, 2)
	if n := e.carry(2); n != 3 {
		e.Errorf("it went on with %d, want 3", n)
	}
	e.wantOperation(op.ID, outbox.OperationDone, 5)
	e.must(s.ContinueOperation(bob, op.ID))
	e.must(s.StopOperation(bob, op.ID))
	e.wantOperation(op.ID, outbox.OperationDone, 5)
	list, _, err := s.Operations(e.ctx, "", 10)
	e.must(err)
	if len(list) != 3 || list[0].Action != outbox.ActionContinue || list[1].Action != outbox.ActionStop || list[1].By != "bob" || list[1].IDs[0] != op.ID {
		e.Errorf("recorded are %+v", list)
	}
	for _, call := range []error{s.StopOperation(bob, outbox.NewID()), s.ContinueOperation(bob, "7")} {
		if !errors.Is(call, outbox.ErrNotFound) {
			e.Errorf("an operation that is none: %v", call)
		}
	}
}

// Several carry the same on at once: each job is changed once.
func operationAtOnce(e *env) {
	s := e.store()
	const jobs = 40
	for range jobs {
		e.enqueueAs(ackbox.Dead)
	}
	op := e.begin(outbox.ActionRequeue, outbox.Filter{All: true})
	e.begin(outbox.ActionCancel, outbox.Filter{Queue: "mail"})
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for more := true; more; {
				var err error
				if _, more, err = s.CarryOn(e.ctx, 3); err != nil {
					e.Errorf("carry on: %v", err)
					return
				}
			}
		})
	}
	all.Wait()
	e.carry(3) // who found all in others' hands has stopped
	e.wantOperation(op.ID, outbox.OperationDone, jobs)
	page, err := s.List(e.ctx, outbox.Filter{}, "", 100)
	e.must(err)
	for _, job := range page.Entries {
		if job.State != ackbox.Pending || job.Attempt != 2 || len(job.History) != 1 {
			e.Errorf("the job is %+v", job)
		}
	}
}

// An operation that cannot be carried on says why, and is in nobody's way.
func operationBroken(e *env) {
	s := e.store()
	id := e.enqueueAs(ackbox.Dead)
	for _, edit := range []string{`filter = '{"state": 7}'`, `filter = '{}'`, `place = '{"stretch": "x"}'`, `action = 'pause'`} {
		op := e.begin(outbox.ActionRequeue, outbox.Filter{All: true})
		e.exec("UPDATE " + e.side("operations") + " SET " + edit + " WHERE id = '" + op.ID + "'")
		if n := e.carry(5); n != 0 {
			e.Errorf("with %s it changed %d", edit, n)
		}
		if got := e.wantOperation(op.ID, outbox.OperationFailed, 0); got.Error == "" {
			e.Errorf("with %s it says nothing", edit)
		}
	}
	e.wantState(ackbox.Dead, id)
	op := e.begin(outbox.ActionRequeue, outbox.Filter{All: true})
	e.exec("ALTER TABLE " + e.table() + " RENAME COLUMN history TO past")
	if _, more, err := s.CarryOn(e.ctx, 5); err == nil || !more {
		e.Errorf("carried on without a column: %v, %v", more, err)
	}
	if got := e.wantOperation(op.ID, outbox.OperationRunning, 0); got.Error == "" {
		e.Errorf("it says nothing: %+v", got)
	}
	e.enqueueAs(ackbox.Done)
	younger := e.begin(outbox.ActionDelete, outbox.Filter{State: ackbox.Done})
	for range 2 { // the second finds that there is nothing more
		if _, _, err := s.CarryOn(e.ctx, 1); err != nil {
			e.Errorf("a younger one waits for it: %v", err)
		}
	}
	e.wantOperation(younger.ID, outbox.OperationDone, 1)
	e.exec("ALTER TABLE " + e.table() + " RENAME COLUMN past TO history")
	if n := e.carry(5); n != 1 {
		e.Errorf("it went on with %d jobs, want 1", n)
	}
	if got := e.wantOperation(op.ID, outbox.OperationDone, 1); got.Error != "" {
		e.Errorf("it still says %q", got.Error)
	}
}
