package storetest

import (
	"slices"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/outbox"
)

func reconcile(e *env) {
	s := e.store()
	me, other := e.worker(), e.worker()
	have, lost, young, others, done := e.enqueueAs(ackbox.Sent), e.enqueueAs(ackbox.Sent), e.enqueueAs(ackbox.Sent), e.enqueueAs(ackbox.Sent), e.enqueueAs(ackbox.Done)
	for _, id := range []string{have, lost, young, done} {
		e.held(id, me, true)
	}
	e.held(others, other, true)
	e.set(young, "seen_at = "+e.at(-50*time.Second))
	e.must(s.Reconcile(e.ctx, me, []string{have, "foreign", "", outbox.NewID()}))
	for id, holder := range map[string]string{have: me, lost: "", young: me, others: other, done: me} {
		if got := e.get(id); got.Holder != holder || (got.StartedAt == nil) != (holder == "") || got.Starts != 3 {
			e.Errorf("reconciled %+v, want holder %q", got, holder)
		}
	}
	if n, err := s.Resend(e.ctx, "default", time.Now().Add(time.Hour), time.Minute, 10); n != 0 || err != nil {
		e.Errorf("resent %d, %v: the sweep for lost jobs is to begin now", n, err)
	}
	e.must(s.Reconcile(e.ctx, me, nil))
	if got := e.get(have); got.Holder != "" {
		e.Errorf("nothing is in hand, but %+v", got)
	}
	if got := e.get(young); got.Holder != me {
		e.Errorf("let go too early: %+v", got)
	}
}

func refused(e *env) {
	s := e.store()
	me, other := e.worker(), e.worker()
	e.witness()
	var ids []string
	for i := range 3 {
		id := e.enqueueAs(ackbox.Refused, outbox.Header("a", "1"))
		e.set(id, "refused_at = "+e.at(-25*time.Hour)+", due_at = "+e.at(time.Duration(i-10)*time.Minute))
		ids = append(ids, id)
	}
	mail := e.enqueueAs(ackbox.Refused, outbox.Queue("mail"))
	for _, state := range ackbox.States() {
		if state != ackbox.Refused {
			e.enqueueAs(state)
		}
	}
	take := func(by string, limit int, queues ...string) (got []string) {
		e.Helper()
		jobs, err := s.Refused(e.ctx, by, queues, limit)
		e.must(err)
		for _, job := range jobs {
			got = append(got, job.ID)
			if job.Ledger != e.identity() || job.Attempt != 1 || len(job.Payload) == 0 || job.ID != mail && (job.RefusedFor < 24*time.Hour || job.Headers["a"] != "1") {
				e.Errorf("took %+v", job)
			}
		}
		slices.Sort(got)
		return got
	}
	want := func(got []string, want ...string) {
		e.Helper()
		slices.Sort(want)
		if !slices.Equal(got, want) {
			e.Errorf("took %v, want %v", got, want)
		}
	}
	want(take(me, 10))
	want(take(me, 10, "elsewhere"))
	want(take(me, 2, "default"), ids[:2]...)
	want(take(other, 10, "default", "mail"), ids[2], mail)
	want(take(me, 10, "default", "mail"))
	if got := e.get(ids[0]); got.Holder != me || got.StartedAt == nil || got.Starts != 1 || got.State != ackbox.Refused {
		e.Errorf("taken %+v", got)
	}
	e.wantVerdicts(e.finish(core.Transition{ID: ids[0], Attempt: 1, Holder: me, To: ackbox.Dead, Error: "full"},
		core.Transition{ID: ids[2], Attempt: 1, Holder: me, To: ackbox.Dead}), core.Recorded, core.Stale)
	// Whoever dies over it leaves it to the others, and it is not sent.
	e.silent(other)
	if n, err := s.TakeBack(e.ctx, 10); n != 2 || err != nil {
		e.Errorf("took back %d, %v", n, err)
	}
	e.wantState(ackbox.Refused, ids[2], mail)
	want(take(me, 10, "default", "mail"), ids[2], mail)
	if got := e.get(mail); got.Starts != 2 || got.Resend != 0 {
		e.Errorf("taken again %+v", got)
	}
	for _, limit := range []int{0, -1, outbox.MaxBatch + 1} {
		if _, err := s.Refused(e.ctx, me, []string{"default"}, limit); err == nil {
			e.Errorf("limit %d was taken", limit)
		}
	}
}

// A job that is in somebody's hands though its confirm was lost is not sent again.
func claimLeavesOutHeld(e *env) {
	me := e.worker()
	held, waiting, free := e.enqueue(), e.enqueue(), e.enqueue()
	e.wantVerdicts(e.hold(me, core.Holding{ID: held, Attempt: 1, Running: time.Second}, core.Holding{ID: waiting, Attempt: 1}), core.Recorded, core.Recorded)
	if got := e.relay(10, acked); !slices.Equal(got, []string{free}) {
		e.Errorf("claimed %v, want %s alone", got, free)
	}
	e.must(e.store().Leave(e.ctx, me))
	if got := e.relay(10, acked); len(got) != 2 {
		e.Errorf("claimed %v", got)
	}
}

func claimFields(e *env) {
	id := e.enqueue()
	e.set(id, "attempt = 5, attempts_before = 4, refused_at = "+e.at(-2*time.Minute))
	var got ackbox.Job
	e.relay(1, func(job ackbox.Job) core.Transition { got = job; return acked(job) })
	if got.Attempt != 5 || got.AttemptsBefore != 4 || (got.RefusedFor-2*time.Minute).Abs() > time.Minute {
		e.Errorf("claimed %+v", got)
	}
	if got := e.get(id); got.AttemptsBefore != 4 {
		e.Errorf("read %+v", got)
	}
}
