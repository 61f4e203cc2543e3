package storetest

import (
	"slices"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/outbox"
)

func rearm(e *env) {
	s := e.store()
	future := e.enqueueAs(ackbox.Nacked)
	var due []string
	for i := range 3 {
		id := e.enqueueAs(ackbox.Nacked)
		e.set(id, "publish_attempt = 2, due_at = "+e.at(time.Duration(i-10)*time.Second))
		due = append(due, id)
	}
	var others []string
	for _, state := range []ackbox.State{ackbox.Sent, ackbox.Done, ackbox.Dead, ackbox.Cancelled} {
		others = append(others, e.enqueueAs(state))
	}
	if n, err := s.Rearm(e.ctx, "default", 2); n != 2 || err != nil {
		e.Fatalf("rearmed %d, %v", n, err)
	}
	e.wantState(ackbox.Pending, due[:2]...)
	e.wantState(ackbox.Nacked, due[2], future)
	if n, err := s.Rearm(e.ctx, "default", 100); n != 1 || err != nil {
		e.Fatalf("rearmed %d, %v", n, err)
	}
	if n, err := s.Rearm(e.ctx, "default", 100); n != 0 || err != nil {
		e.Fatalf("rearmed %d, %v", n, err)
	}
	select {
	case <-s.Wake():
	default:
		e.Error("nobody was woken")
	}
	e.wantState(ackbox.Nacked, future)
	for i, state := range []ackbox.State{ackbox.Sent, ackbox.Done, ackbox.Dead, ackbox.Cancelled} {
		e.wantState(state, others[i])
	}
	if got := e.get(due[0]); got.PublishAttempt != 2 || got.Resend != 0 {
		e.Errorf("rearmed %+v", got)
	}
	if got := e.relay(10, acked); !slices.Equal(got, due) {
		e.Errorf("claimed %v, want %v", got, due)
	}
}

// sent makes a sent job of a queue, seen that long ago.
func (e *env) sent(queue string, ago time.Duration) string {
	e.Helper()
	id := e.enqueueAs(ackbox.Sent, outbox.Queue(queue))
	e.set(id, "sent_at = "+e.at(-ago)+", seen_at = "+e.at(-ago))
	return id
}

// done makes a job of a queue that was sent that long ago and is done.
func (e *env) done(queue string, ago time.Duration) string {
	e.Helper()
	id := e.sent(queue, ago)
	e.set(id, "state = 'done', finished_at = "+e.at(0))
	return id
}

func ages(e *env) {
	s := e.store()
	if got, err := s.Ages(e.ctx); len(got) != 0 || err != nil {
		e.Errorf("ages of an empty table: %v, %v", got, err)
	}
	e.sent("default", time.Minute)
	e.sent("default", time.Hour)
	e.sent("default", time.Second)
	e.sent("mail", 2*time.Hour)
	for _, state := range ackbox.States() {
		if state != ackbox.Sent {
			e.enqueueAs(state)
		}
	}
	frontier := func() map[string]core.QueueAge {
		e.Helper()
		got, err := s.Ages(e.ctx)
		e.must(err)
		byQueue := make(map[string]core.QueueAge)
		for _, a := range got {
			byQueue[a.Queue] = a
		}
		if len(got) != 2 || len(byQueue) != 2 {
			e.Fatalf("ages %+v", got)
		}
		return byQueue
	}
	got := frontier()
	for queue := range got {
		e.near("now", got[queue].Now, 0)
	}
	if !got["mail"].Frontier.IsZero() {
		e.Errorf("frontier of mail %v, but none has finished", got["mail"].Frontier)
	}
	e.done("mail", 30*time.Minute)
	e.done("mail", 90*time.Minute)
	// A job that was sent twice: it may be the first copy that was finished.
	e.set(e.done("mail", time.Minute), "resend = 1")
	e.set(e.sent("mail", time.Minute), "state = 'dead', finished_at = "+e.at(0))
	if d := time.Since(frontier()["mail"].Frontier); d < 29*time.Minute || d > 31*time.Minute {
		e.Errorf("frontier of mail was sent %v ago, want 30m", d)
	}
}

func resend(e *env) {
	s := e.store()
	lost := []string{e.sent("mail", 3*time.Hour), e.sent("mail", 2*time.Hour), e.sent("mail", 90*time.Minute)}
	fresh, elsewhere := e.sent("mail", time.Minute), e.sent("default", 3*time.Hour)
	held := e.sent("mail", 3*time.Hour) // sent long ago, and in a worker's hands
	e.wantVerdicts(e.hold(e.worker(), core.Holding{ID: held, Attempt: 1}), core.Recorded)
	e.set(held, "seen_at = "+e.at(-3*time.Hour)) // that is told once
	back := e.sent("mail", 3*time.Hour)          // sent long ago, and given back a moment ago
	gone := e.worker()
	e.wantVerdicts(e.hold(gone, core.Holding{ID: back, Attempt: 1}), core.Recorded)
	e.must(s.Leave(e.ctx, gone))
	event := e.enqueue(outbox.Event("x", "y"))
	e.relay(1, acked)
	e.set(event, "seen_at = "+e.at(-3*time.Hour))
	var others []string
	for _, state := range ackbox.States() {
		if state != ackbox.Sent {
			id := e.enqueueAs(state, outbox.Queue("mail"))
			e.set(id, "seen_at = "+e.at(-3*time.Hour))
			others = append(others, id)
		}
	}
	call := func(want int, before time.Time, idle time.Duration, limit int) {
		e.Helper()
		if n, err := s.Resend(e.ctx, "mail", before, idle, limit); n != want || err != nil {
			e.Errorf("resent %d, %v, want %d", n, err, want)
		}
	}
	now := time.Now().Add(time.Hour) // whatever the bound, idle holds
	call(0, now, 4*time.Hour, 10)
	call(0, time.Now().Add(-4*time.Hour), 0, 10)
	call(1, now, time.Hour, 1)
	e.wantState(ackbox.Pending, lost[0])
	e.wantState(ackbox.Sent, lost[1:]...)
	call(1, time.Now().Add(-100*time.Minute), time.Hour, 10) // before is honoured, too
	e.wantState(ackbox.Sent, lost[2])
	call(1, now.In(time.FixedZone("far", -9*3600)), time.Hour, 10)
	call(0, now, time.Hour, 10)
	e.wantState(ackbox.Pending, lost...)
	e.wantState(ackbox.Sent, fresh, elsewhere, event, held, back)
	got := e.get(lost[0])
	if got.Resend != 1 || got.Attempt != 1 {
		e.Errorf("resent %+v", got)
	}
	e.near("resent job due", got.DueAt, 0)
	i := 0
	for _, state := range ackbox.States() {
		if state != ackbox.Sent {
			e.wantState(state, others[i])
			i++
		}
	}
}

func purge(e *env) {
	s := e.store()
	e.undated = true // of daily partitions it deletes no finished row
	finished := func(state ackbox.State, ago time.Duration) string {
		id := e.enqueueAs(state)
		e.set(id, "finished_at = "+e.at(-ago))
		return id
	}
	old := []string{finished(ackbox.Done, 50*time.Hour), finished(ackbox.Cancelled, 49*time.Hour)}
	event := e.enqueue(outbox.Event("x", "y"))
	e.relay(1, acked)
	e.set(event, "finished_at = "+e.at(-48*time.Hour))
	old = append(old, event)
	oldDead, dead := finished(ackbox.Dead, 100*time.Hour), finished(ackbox.Dead, 50*time.Hour)
	keep := []string{
		finished(ackbox.Done, time.Hour), finished(ackbox.Cancelled, time.Hour), dead,
		e.enqueue(), e.enqueueAs(ackbox.Nacked), e.sent("mail", 100*time.Hour),
	}
	e.set(keep[3], "created_at = "+e.at(-1000*time.Hour)+", due_at = "+e.at(-1000*time.Hour))

	gone := func(ids ...string) (n int) {
		for _, id := range ids {
			if _, err := s.Get(e.ctx, id); err != nil {
				n++
			}
		}
		return n
	}
	call := func(want, limit int) {
		e.Helper()
		n, err := s.PurgeDead(e.ctx, 72*time.Hour, limit)
		for _, queue := range []string{"default", "", "mail"} {
			if err == nil {
				var m int
				m, err = s.Purge(e.ctx, queue, 24*time.Hour, limit)
				n += m
			}
		}
		if n != want || err != nil {
			e.Errorf("purged %d, %v, want %d", n, err, want)
		}
	}
	call(3, 1) // the oldest finished one, the dead one, and the event
	if gone(old[0], old[2], oldDead) != 3 || gone(old[1]) != 0 {
		e.Error("the oldest did not go first")
	}
	call(1, 100)
	call(0, 100)
	if gone(old...) != 3 || gone(keep...) != 0 {
		e.Errorf("%d of the old and %d of the kept rows are gone", gone(old...), gone(keep...))
	}
}
