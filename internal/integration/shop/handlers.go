package shop

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/handler"
	"github.com/ackbox/ackbox/outbox"
	"github.com/ackbox/ackbox/retry"
)

// ErrPlanned is the failure of a run that was planned to fail.
var ErrPlanned = errors.New("shop: this run was planned to fail")

// Register adds the shop's handlers to reg.
func (a *App) Register(reg *handler.Registry) {
	handler.Register(reg, &charging{a})
	handler.Register(reg, &mailing{a})
}

type charging struct{ *App }

// Consume implements handler.Typed.
func (h *charging) Consume(ctx context.Context, job handler.Job[Charge]) error {
	return h.run(ctx, job.Job, job.Args.Plan, func() error { return h.once(ctx, job.Job, "consume") })
}

// FailAction implements handler.Typed.
func (h *charging) FailAction(ctx context.Context, job handler.Job[Charge], _ error) error {
	return h.once(ctx, job.Job, "fail")
}

// once has the job's effect and completes it, both or neither.
func (h *charging) once(ctx context.Context, job ackbox.Job, action string) error {
	return h.DB.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		if err := effect(tx, job, action); err != nil {
			return err
		}
		return outbox.Complete(ctx, tx)
	})
}

type mailing struct{ *App }

// Consume implements handler.Typed.
func (h *mailing) Consume(ctx context.Context, job handler.Job[Mail]) error {
	return h.run(ctx, job.Job, job.Args.Plan, func() error { return effect(h.DB.WithContext(ctx), job.Job, "consume") })
}

// FailAction implements handler.Typed.
func (h *mailing) FailAction(ctx context.Context, job handler.Job[Mail], _ error) error {
	return effect(h.DB.WithContext(ctx), job.Job, "fail")
}

// run writes down that a run has begun, plays its plan, and has its effect. A run
// that puts itself off belongs to the plan as well: it is written down as of try 0,
// so that the run which follows does not look like a repetition.
func (a *App) run(ctx context.Context, job ackbox.Job, p Plan, effect func() error) (err error) {
	if p.Snooze && job.Attempt == 1 && job.Resend == 0 {
		job.Attempt = 0
	}
	if a.accounts != nil {
		var end func(*error)
		if end, err = a.accounts.begin(ctx, job, a.cfg.Name); err != nil {
			return err
		}
		defer end(&err)
		return play(ctx, job, p, effect)
	}
	err = a.DB.WithContext(ctx).Exec(`INSERT INTO shop_runs (job, attempt, instance) VALUES (?, ?, ?)`,
		job.ID, job.Attempt, a.cfg.Name).Error
	if err != nil {
		return fmt.Errorf("note the run: %w", err)
	}
	return play(ctx, job, p, effect)
}

func play(ctx context.Context, job ackbox.Job, p Plan, effect func() error) error {
	if p.Work > 0 {
		timer := time.NewTimer(p.Work)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	switch {
	case p.Doomed:
		return retry.Permanent(ErrPlanned)
	case job.Attempt == 0:
		return retry.Snooze(20 * time.Millisecond)
	case job.Attempt <= p.FailFirst && p.Panic:
		panic(ErrPlanned)
	case job.Attempt <= p.FailFirst:
		return ErrPlanned
	}
	return effect()
}

func effect(db *gorm.DB, job ackbox.Job, action string) error {
	return db.Exec(`INSERT INTO shop_effects (job, kind, action) VALUES (?, ?, ?)`, job.ID, job.Kind, action).Error
}
