//go:build unix

package accounting_test

import (
	"context"
	"errors"
	"testing"

	"gorm.io/gorm"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/handler"
	"github.com/ackbox/ackbox/outbox"
)

// A queue is full for longer than jobs are to be refused. They are given up as all
// others are: FailAction is called, by a worker.
func TestFullQueueGivesUpByFailAction(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.topology = ackbox.Topology{Queues: []ackbox.Queue{{Name: ackbox.DefaultQueue, MaxLength: 1}}}
	open := make(chan struct{})
	blocks := newCalls(func(ctx context.Context, _ ackbox.Job) error { return until(ctx, open) })
	plain := newCalls(nil)
	s.dispatch(refuseSoon)
	s.run("the worker", s.worker(s.broker("worker"), map[string]*calls{"blocks": blocks, "plain": plain}, slots(12, 1)).Run)
	long := s.enqueue("blocks")
	s.sees("the only message that it may have is in hand", func() bool { return blocks.running() == 1 })
	var ids []string
	for range 40 { // some of them fit
		ids = append(ids, s.enqueue("plain"))
	}
	dead := func() (list []string) {
		for _, id := range ids {
			if s.entry(id).State == ackbox.Dead {
				list = append(list, id)
			}
		}
		return list
	}
	s.sees("the refused are dead", func() bool { return len(dead()) >= 5 })
	for _, id := range dead() {
		if !s.wants("a refused job", id, ackbox.Dead, 1, plain.of(id), count{0, 1, 0}) {
			break
		}
	}
	close(open)
	s.final(append(ids, long)...)
}

// shape is what a new release's arguments look like; shapeBefore what they were.
type shape struct{ Order string }

// Kind implements ackbox.Args.
func (shape) Kind() string { return "shape" }

type shapeBefore struct{ Order int }

// Kind implements ackbox.Args.
func (shapeBefore) Kind() string { return "shape" }

// before is the handler of the old release.
type before struct{ t *testing.T }

// Consume implements handler.Typed.
func (before) Consume(context.Context, handler.Job[shapeBefore]) error {
	return errors.New("it was decoded after all")
}

// FailAction implements handler.Typed.
func (b before) FailAction(_ context.Context, job handler.Job[shapeBefore], _ error) error {
	b.t.Errorf("FailAction was called with %+v", job.Args)
	return nil
}

// after is the handler of the new one.
type after struct{ *calls }

// Consume implements handler.Typed.
func (a after) Consume(ctx context.Context, job handler.Job[shape]) error {
	return a.calls.Consume(ctx, job.Job)
}

// FailAction implements handler.Typed.
func (a after) FailAction(ctx context.Context, job handler.Job[shape], cause error) error {
	return a.calls.FailAction(ctx, job.Job, cause)
}

// A deploy changes the shape of a job's arguments. Old instances cannot read them:
// the job waits until a new one gets it.
func TestRollingDeployChangesArguments(t *testing.T) {
	t.Parallel()
	const jobs = 20
	s := newStage(t)
	s.dispatch()
	old := handler.NewRegistry()
	handler.Register(old, before{t})
	oldWorker := s.run("the old worker", s.workerOf(s.store, s.broker("old"), old).Run)
	var ids []string
	for range jobs {
		id := outbox.NewID()
		s.must("enqueue", s.db.Transaction(func(tx *gorm.DB) error {
			return s.store.Enqueue(s.ctx, tx, shape{"A-17"}, outbox.ID(id))
		}))
		ids = append(ids, id)
	}
	s.sees("the old one has tried all", func() bool {
		for _, id := range ids {
			if e := s.entry(id); e.Attempt < 2 && !e.State.Final() {
				return false
			}
		}
		return true
	})
	c := newCalls(nil)
	renewed := handler.NewRegistry()
	handler.Register(renewed, after{c})
	s.run("the new worker", s.workerOf(s.store, s.broker("new"), renewed).Run)
	oldWorker.stop()
	s.final(ids...)
	for _, id := range ids {
		if e, got := s.entry(id), c.of(id); e.State != ackbox.Done || got != (count{1, 0, 1}) {
			t.Errorf("%s at try %d, calls %+v, last error %q", e.State, e.Attempt, got, e.LastError)
		}
	}
}
