package storetest

import (
	"context"
	"slices"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/outbox"
)

func pause(e *env) {
	s := e.store()
	ann := outbox.Because(outbox.By(e.ctx, "ann"), "it is well again")
	id, mail, event := e.enqueue(), e.enqueue(outbox.Queue("mail")), e.enqueue(outbox.Event("shop", "paid"))
	bob := outbox.By(ann, "bob")
	e.must(s.Pause(ann, "default", "the bank is away"))
	e.must(s.Pause(bob, "default", "likewise")) // finds it paused
	paused, err := s.Pauses(e.ctx)
	if err != nil || len(paused) != 1 || paused[0].Queue != "default" || paused[0].By != "ann" || paused[0].Reason != "the bank is away" {
		e.Errorf("paused are %+v, %v", paused, err)
	}
	e.near("the pause", paused[0].At, 0)
	got := e.relay(10, acked)
	slices.Sort(got)
	if want := []string{mail, event}; !slices.Equal(got, want) {
		e.Errorf("relayed %v, want %v: all but the paused queue's", got, want)
	}
	e.wantState(ackbox.Pending, id)
	for _, other := range []core.Instance{{ID: outbox.NewID(), Role: core.RoleWorker, Queues: []string{"default"}}, {ID: outbox.NewID(), Role: core.RoleSweeper}} {
		census, err := s.Beat(e.ctx, other)
		if err != nil || !slices.Equal(census.Paused, []string{"default"}) {
			e.Errorf("the %s heard of %q, %v", other.Role, census.Paused, err)
		}
	}
	for range 2 {
		e.must(s.Resume(bob, "default"))
	}
	if paused, err := s.Pauses(e.ctx); err != nil || len(paused) != 0 {
		e.Errorf("paused are %+v, %v", paused, err)
	}
	select {
	case <-s.Wake():
	default:
		e.Error("the dispatcher was not woken")
	}
	if got := e.relay(10, acked); !slices.Equal(got, []string{id}) {
		e.Errorf("relayed %v, want %s", got, id)
	}
	list, _, err := s.Operations(e.ctx, "", 10)
	e.must(err)
	if len(list) != 2 || list[1].Action != outbox.ActionPause || list[1].By != "ann" || list[1].Reason != "the bank is away" || list[1].Queue != "default" ||
		list[0].Action != outbox.ActionResume || list[0].By != "bob" || list[0].Reason != "it is well again" || list[0].Queue != "default" {
		e.Errorf("recorded are %+v", list)
	}
}

func pauseRefused(e *env) {
	s := e.store()
	for _, bad := range []string{"", "\x00", "\xff"} {
		e.wantError(s.Pause(e.ctx, bad, ""), "outbox: pause")
		e.wantError(s.Resume(e.ctx, bad), "outbox: resume")
	}
	for _, theirs := range []string{"Eingang der Firma", "' OR '1'='1"} {
		e.must(s.Pause(e.ctx, theirs, "\xff\x00"))
	}
	id := e.enqueue()
	if got := e.relay(10, acked); !slices.Equal(got, []string{id}) {
		e.Errorf("relayed %v beside strange pauses, want %s", got, id)
	}
	// What cannot be recorded is not done.
	e.exec("ALTER TABLE " + e.side("operations") + " RENAME COLUMN actor TO nobody")
	for _, call := range []func(context.Context) error{
		func(ctx context.Context) error { return s.Pause(ctx, "default", "") },
		func(ctx context.Context) error { return s.Resume(ctx, "Eingang der Firma") },
	} {
		if err := call(e.ctx); err == nil {
			e.Error("done without a record")
		}
	}
	if paused, err := s.Pauses(e.ctx); err != nil || len(paused) != 2 {
		e.Errorf("paused are %+v, %v", paused, err)
	}
}

// Nobody is told that jobs wait which people have told to wait.
func pausedAreAttended(e *env) {
	s := e.store()
	for _, queue := range []string{"default", "mail"} {
		id := e.enqueue(outbox.Queue(queue))
		e.set(id, "due_at = "+e.at(-time.Hour))
	}
	e.must(s.Pause(e.ctx, "mail", ""))
	queues, err := s.Unattended(e.ctx)
	if err != nil || len(queues) != 1 || queues[0].Queue != "default" {
		e.Errorf("unattended are %+v, %v", queues, err)
	}
}
