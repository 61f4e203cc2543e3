package storetest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/outbox"
)

func due(e *env) {
	now := e.enqueue()
	delayed := e.enqueue(outbox.Delay(30 * time.Minute))
	soon := e.enqueue(outbox.Delay(time.Hour + time.Nanosecond))
	at := time.Now().Add(48 * time.Hour).Truncate(time.Millisecond)
	later := e.enqueue(outbox.At(at.In(time.FixedZone("far", 9*3600))))
	past := e.enqueue(outbox.At(time.Now().Add(-time.Hour)))

	if got := e.relay(10, acked); !slices.Equal(got, []string{past, now}) {
		e.Errorf("claimed %v", got)
	}
	entry := e.get(delayed)
	if d := entry.DueAt.Sub(entry.CreatedAt); d < 30*time.Minute-time.Second || d > 31*time.Minute {
		e.Errorf("a delay of 30m is due %v after its writing", d)
	}
	// A row's two times are two looks at the clock, which may be some milliseconds
	// apart: the row before it was surely written earlier.
	if d := e.get(soon).DueAt.Sub(entry.CreatedAt); d < time.Hour {
		e.Errorf("due before its time: %v", d)
	}
	if got := e.get(later).DueAt; !got.Equal(at) {
		e.Errorf("due at %v, want %v", got, at)
	}
	e.set(delayed, "due_at = "+e.at(time.Minute))
	if got := e.relay(10, acked); len(got) != 0 {
		e.Errorf("claimed a minute early: %v", got)
	}
	e.set(delayed, "due_at = "+e.at(-time.Second))
	if got := e.relay(10, acked); !slices.Equal(got, []string{delayed}) {
		e.Errorf("claimed %v, want the delayed job", got)
	}
}

func orderAndLimit(e *env) {
	ids := make([]string, 6)
	for i := range ids {
		ids[i] = e.enqueue()
	}
	// Two were due at the same moment, and the first written is due last.
	same := "due_at = '2020-01-02 03:04:05.000'"
	if e.postgres() {
		same = "due_at = '2020-01-02 03:04:05+00'"
	}
	slices.Sort(ids)
	e.set(ids[4], same)
	e.set(ids[3], same)
	e.set(ids[0], "due_at = "+e.at(-time.Second))
	for i, ago := range map[int]time.Duration{5: time.Hour, 2: time.Minute, 1: time.Second * 10} {
		e.set(ids[i], "due_at = "+e.at(-ago))
	}
	want := []string{ids[3], ids[4], ids[5], ids[2], ids[1], ids[0]}
	if got := e.relay(4, acked); !slices.Equal(got, want[:4]) {
		e.Errorf("claimed %v, want %v", got, want[:4])
	}
	if got := e.relay(4, acked); !slices.Equal(got, want[4:]) {
		e.Errorf("claimed %v, want %v", got, want[4:])
	}
	if got := e.relay(4, acked); got != nil {
		e.Errorf("publish was called with %v", got)
	}
}

func relayOutcomes(e *env) {
	answers := map[string]core.Transition{}
	add := func(t core.Transition) string {
		t.ID, t.Attempt = e.enqueue(), 1
		answers[t.ID] = t
		return t.ID
	}
	sent := add(core.Transition{To: ackbox.Sent})
	nacked := add(core.Transition{To: ackbox.Nacked, After: time.Hour, Error: "no queue"})
	dead := add(core.Transition{To: ackbox.Dead, Error: "too often"})
	unknown := add(core.Transition{To: ackbox.Pending})
	paused := add(core.Transition{To: ackbox.Pending, After: time.Hour, Error: "cut"})
	if n := len(e.relay(10, func(j ackbox.Job) core.Transition { return answers[j.ID] })); n != 5 {
		e.Fatalf("claimed %d", n)
	}
	if got := e.get(sent); got.State != ackbox.Sent || got.SentAt == nil || got.FinishedAt != nil || got.LastError != "" || got.History != nil {
		e.Errorf("acked: %+v", got)
	}
	got := e.get(nacked)
	if got.State != ackbox.Nacked || got.LastError != "no queue" || got.PublishAttempt != 1 || got.Attempt != 1 || got.Resend != 0 ||
		len(got.History) != 1 || got.History[0].Error != "no queue" || got.History[0].Attempt != 1 || got.SentAt != nil {
		e.Errorf("nacked: %+v", got)
	}
	if d := got.DueAt.Sub(got.History[0].At); d < 59*time.Minute || d > 61*time.Minute {
		e.Errorf("nacked: due %v after its error", d)
	}
	if got := e.get(dead); got.State != ackbox.Dead || got.FinishedAt == nil || got.LastError != "too often" || len(got.History) != 1 || len(got.Payload) == 0 {
		e.Errorf("dead: %+v", got)
	}
	if got := e.get(unknown); got.State != ackbox.Pending || got.Resend != 1 || got.Attempt != 1 || got.PublishAttempt != 0 || got.History != nil {
		e.Errorf("unknown: %+v", got)
	}
	if got := e.get(paused); got.State != ackbox.Pending || got.Resend != 1 || got.LastError != "cut" || got.History != nil {
		e.Errorf("unknown with a pause: %+v", got)
	}
	if got := e.relay(10, acked); !slices.Equal(got, []string{unknown}) {
		e.Errorf("claimed next: %v", got)
	}
}

func event(e *env) {
	id := e.enqueue(outbox.Event("shop", "order.paid"))
	loud := e.enqueue(outbox.Event("", "theirs"), outbox.Mandatory())
	if got := e.get(id); got.Queue != "" || got.Mandatory || got.Ledger != "" || got.Exchange != "shop" || got.RoutingKey != "order.paid" {
		e.Errorf("event %+v", got)
	}
	if got := e.get(loud); !got.Mandatory || got.RoutingKey != "theirs" {
		e.Errorf("mandatory event %+v", got)
	}
	e.relay(10, acked)
	for _, id := range []string{id, loud} {
		got := e.get(id)
		if got.State != ackbox.Sent || got.SentAt == nil || got.FinishedAt == nil {
			e.Errorf("sent event %+v", got)
		}
		if ages, err := e.store().Ages(e.ctx); err != nil || len(ages) != 0 {
			e.Errorf("nobody is to report an event done: %v, %v", ages, err)
		}
	}
}

// What publish returns for other jobs than it was given must change no row.
func misplaced(e *env) {
	s := e.store()
	ids := []string{e.enqueue(), e.enqueue(), e.enqueue()}
	other := e.enqueue(outbox.Delay(time.Hour))
	n, err := s.Relay(e.ctx, core.Claim{Limit: 10}, func(_ context.Context, jobs []ackbox.Job) []core.Transition {
		return []core.Transition{acked(jobs[0]), {ID: other, Attempt: 1, To: ackbox.Sent}, {ID: jobs[2].ID, Attempt: 7, To: ackbox.Sent}}
	})
	if n != 3 {
		e.Errorf("claimed %d", n)
	}
	e.wantError(err, "3 transitions for 3 jobs", "1 are valid")
	e.wantState(ackbox.Sent, ids[0])
	e.wantState(ackbox.Pending, ids[1], ids[2], other)

	_, err = s.Relay(e.ctx, core.Claim{Limit: 10}, func(context.Context, []ackbox.Job) []core.Transition { return nil })
	e.wantError(err, "0 transitions for 2 jobs")
	_, err = s.Relay(e.ctx, core.Claim{Limit: 10}, func(_ context.Context, jobs []ackbox.Job) []core.Transition {
		return []core.Transition{{ID: jobs[0].ID, Attempt: 1, To: "lost"}, acked(jobs[1]), acked(jobs[1])}
	})
	e.wantError(err, "3 transitions for 2 jobs")
	e.wantState(ackbox.Pending, ids[1])
	e.wantState(ackbox.Sent, ids[2])
}

func relayCancelled(e *env) {
	s := e.store()
	id := e.enqueue()
	stopped, stop := context.WithCancel(e.ctx)
	stop()
	_, err := s.Relay(stopped, core.Claim{Limit: 1}, func(context.Context, []ackbox.Job) []core.Transition {
		e.Error("published although told to stop")
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		e.Errorf("cancelled before the claim: %v", err)
	}
	// Once claimed, the batch is finished.
	stopped, stop = context.WithCancel(e.ctx)
	defer stop()
	n, err := s.Relay(stopped, core.Claim{Limit: 1}, func(ctx context.Context, jobs []ackbox.Job) []core.Transition {
		stop()
		if ctx.Err() != nil {
			e.Error("publish was cut off")
		}
		if _, ok := ctx.Deadline(); !ok {
			e.Error("publish has no deadline")
		}
		return []core.Transition{acked(jobs[0])}
	})
	if n != 1 || err != nil {
		e.Errorf("cancelled on the wire: %d, %v", n, err)
	}
	e.wantState(ackbox.Sent, id)
}

func relayPanics(e *env) {
	id := e.enqueue()
	func() {
		defer func() {
			if recover() == nil {
				e.Error("the panic was swallowed")
			}
		}()
		_, _ = e.store().Relay(e.ctx, core.Claim{Limit: 1}, func(context.Context, []ackbox.Job) []core.Transition { panic("boom") })
	}()
	if got := e.relay(1, acked); !slices.Equal(got, []string{id}) {
		e.Errorf("after the panic %v was claimed", got)
	}
}

// A worker may report a job before the dispatcher has recorded it as sent.
// Whatever it reports outlives the dispatcher's record.
func fastWorker(e *env) {
	s := e.store()
	reports := []core.Transition{
		{To: ackbox.Done},
		{To: ackbox.Dead, Error: "no"},
		{To: ackbox.Pending, After: time.Hour, Charge: true, Error: "again"},
		{To: ackbox.Pending, After: time.Hour},
	}
	for i := range reports {
		reports[i].ID, reports[i].Attempt = e.enqueue(), 1
	}
	var early []core.Verdict
	e.relay(10, func(job ackbox.Job) core.Transition {
		if early == nil {
			var err error
			early, err = s.Finish(e.ctx, reports)
			e.must(err)
		}
		return acked(job)
	})
	for i, v := range early {
		if v == core.Busy { // locked by the dispatcher: ask again
			again, err := s.Finish(e.ctx, reports[i:i+1])
			e.must(err)
			v = again[0]
		}
		if got := e.get(reports[i].ID).State; v != core.Recorded || got != reports[i].To {
			e.Errorf("%v: %v, state %v", reports[i].To, v, got)
		}
	}
	if got := e.get(reports[2].ID); got.Attempt != 2 || got.Resend != 0 {
		e.Errorf("the retry is %+v", got)
	}
}

// The broker's answer for a copy must not touch the row once a worker has had
// that copy sent again: it is another copy that waits there now.
func answerForOldCopy(e *env) {
	snooze := core.Transition{To: ackbox.Pending, After: time.Hour}
	for _, answer := range []core.Transition{{To: ackbox.Sent}, {To: ackbox.Nacked, Error: "no"}, {To: ackbox.Dead, Error: "no"}, {To: ackbox.Pending}} {
		snooze.ID, snooze.Attempt = e.enqueue(), 1
		var early []core.Verdict
		e.relay(10, func(job ackbox.Job) core.Transition {
			early = e.finish(snooze)
			answer.ID, answer.Attempt = job.ID, job.Attempt
			return answer
		})
		if early[0] == core.Busy { // the row was locked, and there was no race
			continue
		}
		if got := e.get(snooze.ID); got.State != ackbox.Pending || got.Resend != 1 || got.LastError != "" || time.Until(got.DueAt) < time.Minute {
			e.Errorf("%s for a copy of before made %+v", answer.To, got)
		}
	}
}

func relaysAtOnce(e *env) {
	s := e.store()
	items := make([]outbox.Item, 100)
	for i := range items {
		items[i] = outbox.Item{Args: note{"x"}, Options: []outbox.Option{outbox.OwnTransaction()}}
	}
	e.must(s.EnqueueAll(e.ctx, e.db, items...))
	var mu sync.Mutex
	claimed := make(map[string]int)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for e.ctx.Err() == nil {
				n, err := s.Relay(e.ctx, core.Claim{Limit: 9}, func(_ context.Context, jobs []ackbox.Job) []core.Transition {
					mu.Lock()
					defer mu.Unlock()
					out := make([]core.Transition, len(jobs))
					for i, job := range jobs {
						claimed[job.ID]++
						out[i] = acked(job)
					}
					return out
				})
				if err != nil {
					e.Error(err)
				}
				if n == 0 {
					return
				}
			}
		})
	}
	wg.Wait()
	if len(claimed) != len(items) {
		e.Errorf("%d of %d jobs were claimed", len(claimed), len(items))
	}
	for id, n := range claimed {
		if n != 1 {
			e.Errorf("job %s was claimed %d times", id, n)
		}
	}
}

func limits(e *env) {
	s := e.store()
	for _, limit := range []int{-1, 0, outbox.MaxBatch + 1} {
		_, relay := s.Relay(e.ctx, core.Claim{Limit: limit}, nil)
		_, rearm := s.Rearm(e.ctx, "default", limit)
		_, resend := s.Resend(e.ctx, "default", time.Now(), 0, limit)
		_, purge := s.Purge(e.ctx, "default", 0, limit)
		for _, err := range []error{relay, rearm, resend, purge} {
			e.wantError(err, "limit is", "want 1 to 10000")
		}
	}
	if _, err := s.Resend(e.ctx, strings.Repeat("\x00", 3), time.Now(), 0, 1); err != nil {
		e.Error(err)
	}
}
