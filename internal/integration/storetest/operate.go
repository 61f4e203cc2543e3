package storetest

import (
	"errors"
	"slices"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/outbox"
)

func get(e *env) {
	s := e.store()
	for _, id := range []string{"", "7", outbox.NewID(), "\x00", "'"} {
		if _, err := s.Get(e.ctx, id); !errors.Is(err, outbox.ErrNotFound) {
			e.Errorf("Get(%q): %v", id, err)
		}
	}
	id := e.enqueue()
	got := e.get(id)
	if got.ID != id || got.State != ackbox.Pending || got.SentAt != nil || got.FinishedAt != nil || got.LastError != "" || got.History != nil {
		e.Errorf("pending %+v", got)
	}
	e.near("due", got.DueAt, 0)
	e.near("created", got.CreatedAt, 0)
	e.relay(1, acked)
	e.finish(core.Transition{ID: id, Attempt: 1, To: ackbox.Done})
	got = e.get(id)
	if got.State != ackbox.Done || got.SentAt == nil || got.FinishedAt == nil || got.FinishedAt.Before(*got.SentAt) || got.SentAt.Location() != time.UTC {
		e.Errorf("done %+v", got)
	}
}

func list(e *env) {
	s := e.store()
	var ids []string
	for i := range 6 {
		opts := []outbox.Option{outbox.Queue([]string{"default", "mail"}[i%2])}
		ids = append(ids, e.enqueue(opts...))
	}
	e.set(ids[5], e.inState(ackbox.Dead))
	e.set(ids[0], "kind = 'other'")
	slices.Reverse(ids) // newest first
	call := func(f outbox.Filter, limit int, want ...string) {
		e.Helper()
		page, err := s.List(e.ctx, f, "", limit)
		e.must(err)
		var got []string
		for _, entry := range page.Entries {
			got = append(got, entry.ID)
		}
		if !slices.Equal(got, want) {
			e.Errorf("List(%+v) gave %v, want %v", f, got, want)
		}
	}
	call(outbox.Filter{}, 100, ids...)
	call(outbox.Filter{}, 2, ids[:2]...)
	call(outbox.Filter{State: ackbox.Dead}, 100, ids[0])
	call(outbox.Filter{State: ackbox.Done}, 100)
	call(outbox.Filter{Queue: "mail"}, 100, ids[0], ids[2], ids[4])
	call(outbox.Filter{Kind: "other"}, 100, ids[5])
	call(outbox.Filter{State: ackbox.Pending, Queue: "mail", Kind: "note"}, 100, ids[4], ids[2])
	call(outbox.Filter{Queue: "' OR '1'='1"}, 100)
	for _, bad := range []outbox.Filter{{State: "lost"}, {Queue: "\x00"}, {Kind: "\xff"}} {
		_, err := s.List(e.ctx, bad, "", 100)
		e.wantError(err, "outbox: Filter.")
	}
	for _, limit := range []int{-1, 0, 10001} {
		_, err := s.List(e.ctx, outbox.Filter{}, "", limit)
		e.wantError(err, "outbox: limit is")
	}
}

func counts(e *env) {
	s := e.store()
	got, err := s.Counts(e.ctx)
	if err != nil || len(got) != len(ackbox.States()) {
		e.Errorf("counts of an empty table: %v, %v", got, err)
	}
	for i, state := range ackbox.States() {
		for range i {
			e.enqueueAs(state)
		}
	}
	got, err = s.Counts(e.ctx)
	e.must(err)
	for i, state := range ackbox.States() {
		if got[state] != i {
			e.Errorf("%d %s, want %d", got[state], state, i)
		}
	}
}

func requeue(e *env) {
	s := e.store()
	var ids []string
	for _, state := range ackbox.States() {
		id := e.enqueueAs(state)
		e.set(id, "attempt = 7, publish_attempt = 3, resend = 2, last_error = 'why', holder = '"+id+"', starts = 5, refused_at = "+e.at(0)+", started_at = "+e.at(0))
		ids = append(ids, id)
	}
	dead := ids[slices.Index(ackbox.States(), ackbox.Dead)]
	e.set(dead, "history = '[{\"at\":\"2026-01-02T03:04:05Z\",\"attempt\":6,\"error\":\"why\"}]', due_at = "+e.at(-time.Hour))
	if n, err := s.Requeue(e.ctx); n != 0 || err != nil {
		e.Errorf("requeued %d of nothing, %v", n, err)
	}
	if n, err := s.Requeue(e.ctx, dead, "7"); n != 0 || err == nil {
		e.Errorf("requeued %d with a bad id, %v", n, err)
	}
	e.wantState(ackbox.Dead, dead)
	cancelled := ids[slices.Index(ackbox.States(), ackbox.Cancelled)]
	if n, err := s.Requeue(e.ctx, append(ids, outbox.NewID(), dead)...); n != 2 || err != nil {
		e.Fatalf("requeued %d, %v", n, err)
	}
	got := e.get(dead)
	if got.State != ackbox.Pending || got.Attempt != 8 || got.AttemptsBefore != 7 || got.PublishAttempt != 0 || got.Resend != 0 || got.FinishedAt != nil ||
		got.Holder != "" || got.StartedAt != nil || got.Starts != 0 ||
		got.LastError != "why" || len(got.History) != 2 {
		e.Errorf("requeued %+v", got)
	}
	e.near("requeued job due", got.DueAt, 0)
	if got := e.get(cancelled); got.State != ackbox.Pending || got.Attempt != 8 || got.FinishedAt != nil {
		e.Errorf("requeued after it was cancelled: %+v", got)
	}
	for i, state := range ackbox.States() {
		if ids[i] != dead && ids[i] != cancelled {
			e.wantState(state, ids[i])
		}
	}
	if n, err := s.Requeue(e.ctx, dead, cancelled); n != 0 || err != nil {
		e.Errorf("requeued twice: %d, %v", n, err)
	}
	var claimed ackbox.Job
	e.relay(10, func(job ackbox.Job) core.Transition {
		if job.ID == dead {
			claimed = job
		}
		return acked(job)
	})
	if claimed.AttemptsBefore != 7 || claimed.Attempt != 8 || claimed.RefusedFor != 0 {
		e.Errorf("the requeued job was claimed as %+v", claimed)
	}
	// What an earlier try still reports changes nothing.
	for attempt := 1; attempt < 8; attempt++ {
		e.wantVerdicts(e.finish(core.Transition{ID: dead, Attempt: attempt, To: ackbox.Dead, Error: "late"}), core.Stale)
	}
	e.wantState(ackbox.Sent, dead)
}

func cancelJobs(e *env) {
	s := e.store()
	var ids []string
	for _, state := range ackbox.States() {
		ids = append(ids, e.enqueueAs(state))
	}
	if n, err := s.Cancel(e.ctx, ids[0], "x"); n != 0 || err == nil {
		e.Errorf("cancelled %d with a bad id, %v", n, err)
	}
	if n, err := s.Cancel(e.ctx, append(ids, outbox.NewID())...); n != 3 || err != nil {
		e.Errorf("cancelled %d, %v", n, err)
	}
	for i, state := range ackbox.States() {
		switch state {
		case ackbox.Pending, ackbox.Nacked, ackbox.Refused:
			state = ackbox.Cancelled
		default:
		}
		e.wantState(state, ids[i])
	}
	if e.get(ids[0]).FinishedAt == nil {
		e.Error("a cancelled job has no time of finishing")
	}
	if got := e.relay(10, acked); got != nil {
		e.Errorf("claimed %v", got)
	}
}
