package storetest

import (
	"slices"
	"time"

	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/outbox"
)

func unattended(e *env) {
	s := e.store()
	want := func(what string, want ...core.Unattended) {
		e.Helper()
		got, err := s.Unattended(e.ctx)
		if err != nil || !slices.Equal(got, want) {
			e.Errorf("%s: unattended %v, %v, want %v", what, got, err, want)
		}
	}
	want("an empty table")
	due := e.enqueue(outbox.Queue("mail"))
	event := e.enqueue(outbox.Event("a", "b"))
	e.enqueue(outbox.Delay(time.Hour))
	want("young")
	for _, id := range []string{due, event} {
		e.set(id, "due_at = "+e.at(-2*time.Minute))
	}
	want("no dispatcher", core.Unattended{Queue: "", Due: 1}, core.Unattended{Queue: "mail", Due: 1})
	e.sent("mail", time.Second)
	want("a long backlog", core.Unattended{Queue: "", Due: 1})
	e.set(event, "state = 'cancelled', finished_at = "+e.at(0))
	e.sent("default", 2*time.Minute)
	held := e.sent("default", 2*time.Minute)
	me := e.instance(core.RoleWorker, "mail")
	e.held(held, me, true)
	want("no worker", core.Unattended{Queue: "default", Sent: 1})
	e.instance(core.RoleSweeper, "default")
	want("a sweeper is none", core.Unattended{Queue: "default", Sent: 1})
	e.witness()
	other := e.instance(core.RoleWorker, "other", "default")
	want("a worker")
	e.silent(other)
	want("a dead worker", core.Unattended{Queue: "default", Sent: 1})
}
