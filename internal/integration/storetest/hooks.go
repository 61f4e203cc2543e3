package storetest

import (
	"context"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/outbox"
)

// enqueueHook notes the jobs that it is told of.
type enqueueHook struct{ jobs []ackbox.Job }

// Enqueued implements ackbox.EnqueueHook.
func (h *enqueueHook) Enqueued(_ context.Context, job ackbox.Job) { h.jobs = append(h.jobs, job) }

// brokenHook is an EnqueueHook that panics.
type brokenHook struct{}

// Enqueued implements ackbox.EnqueueHook.
func (brokenHook) Enqueued(context.Context, ackbox.Job) { panic("no metrics today") }

// Hooks are told of every job that was written, as it was, and of no other.
func enqueueHooks(e *env) {
	h := &enqueueHook{}
	cfg := e.config()
	cfg.Hooks = []ackbox.Hook{brokenHook{}, h}
	cfg.HeadersFrom = func(_ context.Context, job ackbox.Job) map[string]string {
		return map[string]string{"about": job.Kind + " " + job.ID + " " + job.Queue + " " + job.Headers["mine"]}
	}
	s := e.newStore(cfg)
	ids := []string{outbox.NewID(), outbox.NewID(), outbox.NewID()}
	var items []outbox.Item
	for _, id := range ids {
		items = append(items, outbox.Item{Args: note{}, Options: []outbox.Option{outbox.ID(id), outbox.Header("mine", "x")}})
	}
	e.must(e.db.Transaction(func(tx *gorm.DB) error { return s.EnqueueAll(e.ctx, tx, items...) }))
	var told []string
	for _, job := range h.jobs {
		told = append(told, job.ID)
		if job.Kind != (note{}).Kind() || job.Queue == "" || job.RoutingKey != job.Queue || job.Attempt != 1 || job.MaxAttempts != outbox.DefaultMaxAttempts || len(job.Payload) == 0 {
			e.Errorf("told of %+v", job)
		}
		if want := job.Kind + " " + job.ID + " " + job.Queue + " x"; job.Headers["about"] != want {
			e.Errorf("HeadersFrom saw %q, want %q", job.Headers["about"], want)
		}
	}
	if !slices.Equal(told, ids) {
		e.Errorf("told of %v, want %v", told, ids)
	}
	// The same id twice is written by nobody.
	if err := e.db.Transaction(func(tx *gorm.DB) error { return s.EnqueueAll(e.ctx, tx, items[0]) }); err == nil {
		e.Error("the same id was taken twice")
	}
	if len(h.jobs) != len(ids) {
		e.Errorf("told of %d jobs, want %d", len(h.jobs), len(ids))
	}
	cfg.Hooks = append(cfg.Hooks, nil)
	if _, err := outbox.NewStore(e.db, cfg); err == nil || !strings.Contains(err.Error(), "outbox: Config.Hooks[2]") {
		e.Errorf("a nil hook: %v", err)
	}
}

// How long a job was due before it was claimed is the database's to say.
func relayWaited(e *env) {
	fresh, late, delayed := e.enqueue(), e.enqueue(), e.enqueue(outbox.Delay(time.Hour))
	e.set(late, "due_at = "+e.at(-time.Hour))
	e.set(delayed, "created_at = "+e.at(-2*time.Hour)+", due_at = "+e.at(-time.Minute))
	waited := make(map[string]time.Duration)
	e.relay(10, func(job ackbox.Job) core.Transition {
		waited[job.ID] = job.Waited
		return acked(job)
	})
	const slack = 30 * time.Second
	for id, want := range map[string]time.Duration{fresh: 0, late: time.Hour, delayed: time.Minute} {
		if d := waited[id] - want; d < 0 || d > slack {
			e.Errorf("a job that was due %v ago waited %v", want, waited[id])
		}
	}
}
