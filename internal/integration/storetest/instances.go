package storetest

import (
	"slices"
	"strings"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/outbox"
)

func beats(e *env) {
	s := e.store()
	worker := core.Instance{ID: outbox.NewID(), Role: core.RoleWorker, Host: "a\x00b\xff", PID: 7, Queues: []string{"mail"}}
	sweepers := func(of core.Instance) int {
		e.Helper()
		census, err := s.Beat(e.ctx, of)
		e.must(err)
		return census.Sweepers
	}
	if census, err := s.Beat(e.ctx, worker); err != nil || census.Sweepers != 0 || len(census.Paused) != 0 {
		e.Errorf("%+v, %v, want nobody, and nothing paused", census, err)
	}
	sweeper := core.Instance{ID: outbox.NewID(), Role: core.RoleSweeper}
	if n := sweepers(sweeper); n != 1 {
		e.Errorf("a sweeper sees %d, want itself", n)
	}
	if n := sweepers(worker); n != 1 {
		e.Errorf("%d sweepers, want 1", n)
	}
	e.aged(sweeper.ID, 61*time.Second, time.Hour)
	if n := sweepers(worker); n != 0 {
		e.Errorf("%d sweepers, want none that has spoken lately", n)
	}
	if n := e.rows(e.instances()); n != 2 {
		e.Errorf("%d instances, want 2", n)
	}
	count := func(where string) (n int) {
		e.Helper()
		e.must(e.db.Raw("SELECT count(*) FROM " + e.instances() + " WHERE id = '" + worker.ID + "' AND " + where).Scan(&n).Error)
		return n
	}
	// Its time without a gap goes on, unless there was one.
	e.aged(worker.ID, core.Silence-time.Second, time.Hour)
	sweepers(worker)
	if count("since < "+e.at(-59*time.Minute)+" AND seen_at > "+e.at(-time.Minute)) != 1 {
		e.Error("a short silence is taken for a gap, or the beat was not written")
	}
	e.aged(worker.ID, core.Silence+time.Second, time.Hour)
	sweepers(worker)
	if count("since < "+e.at(-59*time.Minute)) != 0 {
		e.Error("a long silence is no gap")
	}
	// It learns what is to stand still.
	e.exec("INSERT INTO " + e.side("queues") + " (queue, paused_at, paused_by, reason) VALUES ('sms', " + e.at(0) + ", 'me', ''), ('mail', " + e.at(0) + ", 'me', '')")
	if census, err := s.Beat(e.ctx, worker); err != nil || !slices.Equal(census.Paused, []string{"mail", "sms"}) {
		e.Errorf("paused %q, %v", census.Paused, err)
	}
	for _, bad := range []core.Instance{
		{}, {ID: "7", Role: core.RoleWorker}, {ID: outbox.NewID(), Role: "\x00"}, {ID: outbox.NewID(), Role: "x", PID: 1 << 40}, {ID: outbox.NewID(), Role: "x", PID: -1},
	} {
		if _, err := s.Beat(e.ctx, bad); err == nil {
			e.Errorf("instance %+v was taken", bad)
		}
	}
}

func leave(e *env) {
	s := e.store()
	me, other := e.worker(), e.worker()
	waits, runs, done, others := e.enqueueAs(ackbox.Sent), e.enqueueAs(ackbox.Sent), e.enqueueAs(ackbox.Done), e.enqueueAs(ackbox.Sent)
	zero := e.enqueueAs(ackbox.Sent)
	e.held(waits, me, false)
	e.held(runs, me, true)
	e.held(done, me, true)
	e.held(others, other, true)
	e.held(zero, me, true)
	e.set(zero, "starts = 0")
	e.must(s.Leave(e.ctx, me))
	for id, starts := range map[string]int{waits: 3, runs: 2, zero: 0} {
		if got := e.get(id); got.Holder != "" || got.StartedAt != nil || got.Starts != starts || got.State != ackbox.Sent || got.Resend != 0 {
			e.Errorf("given back %+v, want %d starts", got, starts)
		}
	}
	for id, holder := range map[string]string{done: me, others: other} {
		if got := e.get(id); got.Holder != holder || got.Starts != 3 || got.StartedAt == nil {
			e.Errorf("changed %+v", got)
		}
	}
	// What was given back is not lost: its message is on its way.
	if n, err := s.Resend(e.ctx, "default", time.Now().Add(time.Hour), time.Minute, 10); n != 0 || err != nil {
		e.Errorf("resent %d, %v", n, err)
	}
	if n := e.rows(e.instances()); n != 1 {
		e.Errorf("%d instances, want 1", n)
	}
	e.must(s.Leave(e.ctx, me)) // once more
	e.wantError(s.Leave(e.ctx, "7"), "UUID")
}

// Who is not alive for the others takes nothing, because it would be taken from him.
func notBreathing(e *env) {
	s := e.store()
	job := e.get(e.enqueueAs(ackbox.Sent)).Job
	refused := e.enqueueAs(ackbox.Refused)
	me := outbox.NewID()
	check := func() {
		e.Helper()
		_, err := s.Start(e.ctx, me, []ackbox.Job{job})
		e.wantError(err, me, "alive")
		_, err = s.Hold(e.ctx, me, []core.Holding{{ID: job.ID, Attempt: 1}})
		e.wantError(err, me, "alive")
		jobs, err := s.Refused(e.ctx, me, []string{"default"}, 10)
		if len(jobs) != 0 || err != nil {
			e.Errorf("took %v, %v", jobs, err)
		}
		if a, b := e.get(job.ID), e.get(refused); a.Holder != "" || a.Starts != 0 || b.Holder != "" || b.Starts != 0 {
			e.Errorf("changed %+v, %+v", a, b)
		}
	}
	check() // never announced
	_, err := s.Beat(e.ctx, core.Instance{ID: me, Role: core.RoleWorker})
	e.must(err)
	e.silent(me)
	check() // frozen
	_, err = s.Beat(e.ctx, core.Instance{ID: me, Role: core.RoleWorker})
	e.must(err)
	e.wantStart("awake", me, job, core.Standing{Verdict: core.Started, Starts: 1})
	for _, id := range []string{"", "7", strings.ToUpper(me)} {
		_, err := s.Start(e.ctx, id, nil)
		_, err2 := s.Hold(e.ctx, id, nil)
		_, err3 := s.Refused(e.ctx, id, nil, 1)
		for _, err := range []error{err, err2, err3, s.Reconcile(e.ctx, id, nil)} {
			e.wantError(err, "UUID")
		}
	}
}

func takeBack(e *env) {
	for _, state := range []ackbox.State{ackbox.Sent, ackbox.Pending, ackbox.Nacked, ackbox.Refused} {
		e.eachHolder(state, func(what, me, id string, _ bool, holder string) {
			before := e.get(id)
			gone := strings.HasPrefix(what, "a dead one's") || strings.HasPrefix(what, "of one that has left")
			n, err := e.store().TakeBack(e.ctx, 10)
			after := e.get(id)
			switch {
			case err != nil || n != 0 != gone:
				e.Errorf("%s: took back %d, %v", what, n, err)
			case !gone && (after.Holder != holder || after.State != state || after.Starts != before.Starts):
				e.Errorf("%s: changed %+v", what, after)
			case gone && state == ackbox.Refused && (after.State != state || after.Resend != 0):
				e.Errorf("%s: is %+v", what, after)
			case gone && state != ackbox.Refused && (after.State != ackbox.Pending || after.Resend != 1):
				e.Errorf("%s: is %+v", what, after)
			case gone && (after.Holder != "" || after.StartedAt != nil || after.Starts != 3 || after.Attempt != 1):
				e.Errorf("%s: is %+v", what, after)
			}
			if gone && state == ackbox.Nacked {
				e.near("due", after.DueAt, 0)
			}
			e.set(id, "state = 'cancelled', finished_at = "+e.at(0))
		})
	}
	// What waited there may be in its queue: the sweep for lost jobs decides.
	e.exec("DELETE FROM " + e.instances())
	e.witness()
	dead := e.worker()
	e.silent(dead)
	waits := e.enqueueAs(ackbox.Sent)
	e.held(waits, dead, false)
	runs := []string{e.enqueueAs(ackbox.Sent), e.enqueueAs(ackbox.Sent), e.enqueueAs(ackbox.Sent)}
	for _, id := range runs {
		e.held(id, dead, true)
	}
	done := e.enqueueAs(ackbox.Done)
	e.held(done, dead, true)
	total := 0
	for _, want := range []int{3, 1, 0} {
		n, err := e.store().TakeBack(e.ctx, 3)
		if total += n; n != want || err != nil {
			e.Errorf("took back %d, %v, want %d", n, err, want)
		}
	}
	if got := e.get(waits); got.State != ackbox.Sent || got.Resend != 0 || got.Holder != "" || got.Starts != 3 {
		e.Errorf("it waited, and is %+v", got)
	}
	if n, err := e.store().Resend(e.ctx, "default", time.Now().Add(time.Hour), time.Minute, 10); n != 0 || err != nil {
		e.Errorf("resent %d, %v", n, err)
	}
	e.wantState(ackbox.Pending, runs...)
	if got := e.get(done); got.Holder != dead || got.State != ackbox.Done {
		e.Errorf("finished %+v", got)
	}
	select {
	case <-e.store().Wake():
	default:
		e.Error("nobody was woken")
	}
	// The dead stay on the list for an hour.
	if n := e.rows(e.instances()); n != 2 {
		e.Errorf("%d instances, want 2", n)
	}
	e.aged(dead, 61*time.Minute, 2*time.Hour)
	if _, err := e.store().TakeBack(e.ctx, 1); err != nil {
		e.Error(err)
	}
	if n := e.rows(e.instances()); n != 1 {
		e.Errorf("%d instances, want 1", n)
	}
}

// When nobody could speak nobody has died: the first to speak again is no witness.
func outageKillsNobody(e *env) {
	s := e.store()
	one := core.Instance{ID: outbox.NewID(), Role: core.RoleWorker}
	other := core.Instance{ID: outbox.NewID(), Role: core.RoleSweeper}
	for _, i := range []core.Instance{one, other} {
		_, err := s.Beat(e.ctx, i)
		e.must(err)
	}
	id := e.enqueueAs(ackbox.Sent)
	e.held(id, one.ID, true)
	for _, outage := range []time.Duration{time.Minute, 2 * time.Hour} {
		e.aged(one.ID, outage, 3*time.Hour)
		e.aged(other.ID, outage, 3*time.Hour)
		// Before the first has spoken, and after.
		for range 2 {
			if n, err := s.TakeBack(e.ctx, 10); n != 0 || err != nil {
				e.Errorf("after %v: took back %d, %v", outage, n, err)
			}
			_, err := s.Beat(e.ctx, other)
			e.must(err)
		}
		if got := e.get(id); got.Holder != one.ID || got.State != ackbox.Sent {
			e.Errorf("after %v: %+v", outage, got)
		}
		e.wantStart("elsewhere", other.ID, e.get(id).Job, core.Standing{Verdict: core.Held})
		if n := e.rows(e.instances()); n != 2 {
			e.Errorf("after %v there are %d instances", outage, n)
		}
	}
	// It has spoken long enough by now.
	e.aged(other.ID, 0, core.Silence+time.Second)
	if n, err := s.TakeBack(e.ctx, 10); n != 1 || err != nil {
		e.Errorf("took back %d, %v", n, err)
	}
}
