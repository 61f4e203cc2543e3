package storetest

import (
	"reflect"
	"strings"
	"time"

	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/outbox"
)

func instanceList(e *env) {
	s := e.store()
	if got, err := s.Instances(e.ctx); len(got) != 0 || err != nil {
		e.Errorf("listed %+v, %v of nobody", got, err)
	}
	worker := core.Instance{ID: outbox.NewID(), Role: core.RoleWorker, Host: "b", PID: 7, Queues: []string{"mail"}, Detail: core.Detail{
		Version: "v1.2", Slots: 30, InHand: 4, Overdue: 1, Trouble: "a\x00b",
		Running: []core.Running{
			{ID: "1", Kind: "pay", Queue: "mail", Key: "order:42", For: time.Hour, Overdue: true},
			{ID: "2", Kind: strings.Repeat("ä", 200), Queue: "\xff"},
		},
	}}
	beat := func(i core.Instance) {
		e.Helper()
		_, err := s.Beat(e.ctx, i)
		e.must(err)
	}
	beat(worker)
	many := core.Instance{ID: outbox.NewID(), Role: core.RoleDispatcher, Host: "a", PID: 9}
	many.Detail.Running = make([]core.Running, 2*core.MaxRunning)
	beat(many)
	list := func() []outbox.Instance {
		e.Helper()
		got, err := s.Instances(e.ctx)
		e.must(err)
		if len(got) != 2 {
			e.Fatalf("listed %+v", got)
		}
		return got
	}
	got := list()
	if got[0].ID != many.ID || got[0].Role != core.RoleDispatcher || len(got[0].Running) != core.MaxRunning {
		e.Errorf("first is %+v", got[0])
	}
	w := got[1]
	e.near("seen", w.SeenAt, 0)
	e.near("started", w.StartedAt, 0)
	if len(w.Running) != 2 {
		e.Fatalf("running %+v", w.Running)
	}
	e.near("since", w.Running[0].Since, -time.Hour)
	if long := w.Running[1]; len(long.Kind) > 260 || !strings.HasPrefix(long.Kind, "ää") || long.Queue != "\uFFFD" {
		e.Errorf("names %q, %q", long.Kind, long.Queue)
	}
	want := outbox.Instance{
		ID: worker.ID, Role: "worker", Host: "b", PID: 7, Queues: []string{"mail"}, StartedAt: w.StartedAt, SeenAt: w.SeenAt,
		Alive: true, Version: "v1.2", Slots: 30, InHand: 4, Overdue: 1, Trouble: "a\uFFFDb",
		Running: []outbox.Running{{ID: "1", Kind: "pay", Queue: "mail", Key: "order:42", Since: w.Running[0].Since, Overdue: true}, w.Running[1]},
	}
	if !reflect.DeepEqual(w, want) {
		e.Errorf("listed %+v, want %+v", w, want)
	}
	// What it said last counts.
	worker.Detail = core.Detail{}
	beat(worker)
	if w := list()[1]; w.Slots != 0 || w.Trouble != "" || w.Running != nil {
		e.Errorf("at last %+v", w)
	}
	// One that was silent is dead if another was not.
	e.silent(worker.ID)
	if !list()[1].Alive {
		e.Error("dead without a witness")
	}
	e.aged(many.ID, 0, time.Hour)
	if got := list(); got[1].Alive || !got[0].Alive {
		e.Errorf("alive: %+v", got)
	}
	// What people have put there hides nobody.
	e.exec("UPDATE " + e.instances() + ` SET detail = '{"slots": "x"}', queues = '[7]'`)
	list()
	e.exec("UPDATE " + e.instances() + " SET detail = NULL")
	list()
	e.must(s.Leave(e.ctx, worker.ID))
	if got, err := s.Instances(e.ctx); len(got) != 1 || err != nil {
		e.Errorf("listed %+v, %v after it has left", got, err)
	}
}
