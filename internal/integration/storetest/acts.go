package storetest

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/outbox"
)

// jobsInEachState are one job in each state, by it.
func (e *env) jobsInEachState(opts ...outbox.Option) map[ackbox.State]string {
	e.Helper()
	jobs := make(map[ackbox.State]string)
	for _, state := range ackbox.States() {
		jobs[state] = e.enqueueAs(state, opts...)
	}
	return jobs
}

// all are the ids of jobs.
func all(jobs map[ackbox.State]string) (ids []string) {
	for _, id := range jobs {
		ids = append(ids, id)
	}
	return ids
}

func runNow(e *env) {
	s := e.store()
	jobs := e.jobsInEachState(outbox.Delay(time.Hour))
	overdue := e.enqueue()
	if n, err := s.RunNow(e.ctx, append(all(jobs), overdue, outbox.NewID())...); n != 2 || err != nil {
		e.Fatalf("hastened %d, %v", n, err)
	}
	for state, id := range jobs {
		got := e.get(id)
		if state != ackbox.Pending && state != ackbox.Nacked {
			if got.State != state || got.History != nil {
				e.Errorf("the %s job is %+v", state, got)
			}
			continue
		}
		if got.State != ackbox.Pending || len(got.History) != 1 || got.History[0].What != outbox.Hastened {
			e.Errorf("the hastened job is %+v", got)
		}
		e.near("the hastened "+string(state)+" job due", got.DueAt, 0)
	}
	if n, err := s.RunNow(e.ctx, all(jobs)...); n != 0 || err != nil {
		e.Errorf("hastened %d twice, %v", n, err)
	}
	if got := e.relay(10, acked); len(got) != 3 {
		e.Errorf("relayed %d, want all three", len(got))
	}
}

func reschedule(e *env) {
	s := e.store()
	jobs := e.jobsInEachState()
	for _, id := range jobs {
		e.set(id, "refused_at = "+e.at(-time.Hour))
	}
	for _, bad := range []time.Time{{}, time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)} {
		if n, err := s.Reschedule(e.ctx, bad, all(jobs)...); n != 0 || err == nil {
			e.Errorf("rescheduled %d to %v, %v", n, bad, err)
		}
	}
	at := time.Now().Add(30 * time.Minute)
	if n, err := s.Reschedule(e.ctx, at, all(jobs)...); n != 2 || err != nil {
		e.Fatalf("rescheduled %d, %v", n, err)
	}
	for state, id := range jobs {
		got := e.get(id)
		if state != ackbox.Pending && state != ackbox.Nacked {
			if got.State != state || got.History != nil {
				e.Errorf("the %s job is %+v", state, got)
			}
			continue
		}
		if got.State != ackbox.Pending || got.DueAt.Sub(at).Abs() > time.Millisecond || got.History[0].What != outbox.Rescheduled {
			e.Errorf("the rescheduled job is %+v, want it due at %v", got, at)
		}
	}
	if got := e.relay(10, acked); got != nil {
		e.Errorf("relayed %v before its time", got)
	}
	if n, err := s.Reschedule(e.ctx, time.Now().Add(-24*time.Hour), jobs[ackbox.Nacked]); n != 1 || err != nil {
		e.Fatalf("rescheduled %d to the past, %v", n, err)
	}
	e.near("the job that was rescheduled to the past due", e.get(jobs[ackbox.Nacked]).DueAt, 0)
	var refusedFor time.Duration
	e.relay(10, func(job ackbox.Job) (t core.Transition) { refusedFor = job.RefusedFor; return acked(job) })
	if refusedFor != 0 {
		e.Errorf("the rescheduled job counts as refused for %v", refusedFor)
	}
}

func deleteJobs(e *env) {
	s := e.store()
	jobs := e.jobsInEachState()
	event := e.enqueue(outbox.Event("shop", "paid"))
	e.set(event, e.inState(ackbox.Sent)+", finished_at = "+e.at(0))
	if n, err := s.Delete(e.ctx, append(all(jobs), event)...); n != 4 || err != nil {
		e.Fatalf("deleted %d, %v", n, err)
	}
	for state, id := range jobs {
		_, err := s.Get(e.ctx, id)
		switch state {
		case ackbox.Done, ackbox.Dead, ackbox.Cancelled:
			if !errors.Is(err, outbox.ErrNotFound) {
				e.Errorf("the %s job is there: %v", state, err)
			}
		default:
			e.wantState(state, id)
		}
	}
}

// Whatever people do is in the job's history and among the operations, with who and why.
func actsAreRecorded(e *env) {
	s := e.store()
	who := strings.Repeat("x", 199) + "é and more" // of which 199 bytes are whole
	ctx := outbox.Because(outbox.By(e.ctx, who), "the bank\x00 is back")
	acts := []struct {
		action outbox.Action
		what   outbox.Happening
		from   ackbox.State
		act    func(ids ...string) (int, error)
	}{
		{outbox.ActionRequeue, outbox.Requeued, ackbox.Dead, func(ids ...string) (int, error) { return s.Requeue(ctx, ids...) }},
		{outbox.ActionCancel, outbox.Cancelled, ackbox.Refused, func(ids ...string) (int, error) { return s.Cancel(ctx, ids...) }},
		{outbox.ActionRunNow, outbox.Hastened, ackbox.Nacked, func(ids ...string) (int, error) { return s.RunNow(ctx, ids...) }},
		{outbox.ActionReschedule, outbox.Rescheduled, ackbox.Pending, func(ids ...string) (int, error) { return s.Reschedule(ctx, time.Now(), ids...) }},
		{outbox.ActionDelete, "", ackbox.Done, func(ids ...string) (int, error) { return s.Delete(ctx, ids...) }},
	}
	for _, a := range acts {
		idle := e.enqueueAs(ackbox.Sent)
		ids := []string{e.enqueueAs(a.from), e.enqueueAs(a.from)}
		slices.Sort(ids)
		e.set(ids[0], "attempt = 3")
		if n, err := a.act(idle); n != 0 || err != nil {
			e.Errorf("%s of a sent job changed %d, %v", a.action, n, err)
		}
		if n, err := a.act(append([]string{idle}, ids...)...); n != 2 || err != nil {
			e.Fatalf("%s changed %d, %v", a.action, n, err)
		}
		list, _, err := s.Operations(e.ctx, "", 100)
		e.must(err)
		op := list[0]
		e.near("the operation", op.CreatedAt, 0)
		got := outbox.Operation{Action: op.Action, IDs: op.IDs, State: op.State, By: op.By, Reason: op.Reason, Expected: op.Expected, Changed: op.Changed, LookedAt: op.LookedAt}
		want := outbox.Operation{
			Action: a.action, IDs: ids, State: outbox.OperationDone, By: who[:199], Reason: "the bank\uFFFD is back",
			Expected: outbox.Count{N: 2}, Changed: 2, LookedAt: 3,
		}
		if !reflect.DeepEqual(got, want) || op.FinishedAt == nil {
			e.Errorf("%s is recorded as %+v, want %+v", a.action, op, want)
		}
		if one, err := s.Operation(e.ctx, op.ID); err != nil || !reflect.DeepEqual(one, op) {
			e.Errorf("%s is read as %+v, %v", a.action, one, err)
		}
		if a.what == "" {
			continue
		}
		history := e.get(ids[0]).History
		if len(history) != 1 {
			e.Errorf("the history after %s is %+v", a.action, history)
			continue
		}
		e.near("the history", history[0].At, 0)
		history[0].At = time.Time{}
		if want := (outbox.HistoryEntry{What: a.what, Attempt: 3, By: who[:199], Error: "the bank\uFFFD is back", Operation: op.ID}); history[0] != want {
			e.Errorf("the history after %s is %+v, want %+v", a.action, history[0], want)
		}
	}
	list, _, err := s.Operations(e.ctx, "", 100)
	if err != nil || len(list) != len(acts) {
		e.Errorf("%d operations are recorded, %v: want %d, what changed nothing is none", len(list), err, len(acts))
	}
}

// What cannot be recorded is not done.
func actsWithoutRecord(e *env) {
	s := e.store()
	jobs := e.jobsInEachState()
	e.exec("ALTER TABLE " + e.side("operations") + " RENAME COLUMN actor TO nobody")
	for _, act := range []func(context.Context, ...string) (int, error){
		s.Requeue, s.Cancel, s.RunNow, s.Delete,
		func(ctx context.Context, ids ...string) (int, error) {
			return s.Reschedule(ctx, time.Now().Add(time.Hour), ids...)
		},
	} {
		n, err := act(e.ctx, all(jobs)...)
		if n != 0 || !errors.Is(err, outbox.ErrNotMigrated) {
			e.Errorf("changed %d, %v", n, err)
		}
	}
	for state, id := range jobs {
		e.wantState(state, id)
		if got := e.get(id); got.History != nil {
			e.Errorf("the %s job's history says %+v", state, got.History)
		}
	}
}

func listOperations(e *env) {
	s := e.store()
	id := e.enqueueAs(ackbox.Dead)
	for range 3 {
		if n, err := s.Requeue(e.ctx, id); n != 1 || err != nil {
			e.Fatalf("requeued %d, %v", n, err)
		}
		if n, err := s.Cancel(e.ctx, id); n != 1 || err != nil {
			e.Fatalf("cancelled %d, %v", n, err)
		}
	}
	var got []outbox.Operation
	after := ""
	for range 3 {
		list, next, err := s.Operations(e.ctx, after, 2)
		e.must(err)
		got, after = append(got, list...), next
	}
	if len(got) != 6 || after != "" {
		e.Errorf("six operations by two are %+v, and then %q", got, after)
	}
	for i, op := range got {
		if want := []outbox.Action{outbox.ActionCancel, outbox.ActionRequeue}[i%2]; op.Action != want || i > 0 && op.CreatedAt.After(got[i-1].CreatedAt) {
			e.Errorf("the operation at %d is %+v, want %s", i, op, want)
		}
	}
	if history := e.get(id).History; len(history) != 6 || history[5].Operation != got[0].ID || history[0].Operation != got[5].ID {
		e.Errorf("the history is %+v", history)
	}
	for _, bad := range []string{"7", "\x00", outbox.NewID()} {
		if op, err := s.Operation(e.ctx, bad); !errors.Is(err, outbox.ErrNotFound) {
			e.Errorf("operation %q is %+v, %v", bad, op, err)
		}
	}
	if _, _, err := s.Operations(e.ctx, "7", 1); err == nil {
		e.Error("operations are listed from a cursor that is none")
	}
	e.exec("UPDATE " + e.side("operations") + " SET finished_at = " + e.at(-time.Hour) + ", updated_at = " + e.at(-time.Hour) + " WHERE id = '" + got[4].ID + "'")
	for want := range 2 {
		if n, err := s.PurgeOperations(e.ctx, time.Minute, 10); n != 1-want || err != nil {
			e.Errorf("purged %d operations, %v", n, err)
		}
	}
	if rows := e.rows(e.side("operations")); rows != 5 {
		e.Errorf("%d operations are left, want 5", rows)
	}
}
