package storetest

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"gorm.io/gorm"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/outbox"
)

// inHandler is the context of the handler of a job.
func (e *env) inHandler(id string, cause error) context.Context {
	e.Helper()
	return ackbox.WithRun(e.ctx, ackbox.Run{Job: e.get(id).Job, Cause: cause})
}

// effect is a handler that has an effect and completes its job with it.
func effect(ctx context.Context, db *gorm.DB, after error) error {
	return db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		if err := tx.Create(&order{Note: "effect"}).Error; err != nil {
			return err
		}
		return errors.Join(outbox.Complete(ctx, tx), after)
	})
}

func completeInHandler(e *env) {
	id := e.enqueueAs(ackbox.Sent)
	ctx := e.inHandler(id, nil)
	if err := effect(ctx, e.db, errChangedMind); !errors.Is(err, errChangedMind) {
		e.Error(err)
	}
	e.wantState(ackbox.Sent, id)
	e.wantRows(1, 0)

	e.must(effect(ctx, e.db, nil))
	e.wantState(ackbox.Done, id)
	e.wantRows(1, 1)

	// The job is delivered again: no second effect.
	if err := effect(e.inHandler(id, nil), e.db, nil); !errors.Is(err, ackbox.ErrSuperseded) {
		e.Errorf("completed twice: %v", err)
	}
	e.wantRows(1, 1)
	// What the worker then reports is stale.
	e.wantVerdicts(e.finish(core.Transition{ID: id, Attempt: 1, To: ackbox.Done}), core.Stale)

	for _, state := range ackbox.States() {
		id := e.enqueueAs(state)
		err := effect(e.inHandler(id, nil), e.db, nil)
		if state.Final() != errors.Is(err, ackbox.ErrSuperseded) || !state.Final() && err != nil {
			e.Errorf("complete a job that is %s: %v", state, err)
		}
	}
	// A later try has taken over.
	id = e.enqueueAs(ackbox.Sent)
	ctx = e.inHandler(id, nil)
	e.set(id, "attempt = 2")
	if err := effect(ctx, e.db, nil); !errors.Is(err, ackbox.ErrSuperseded) {
		e.Errorf("a try of before: %v", err)
	}
	e.wantState(ackbox.Sent, id)
}

func completeInFailAction(e *env) {
	id := e.enqueueAs(ackbox.Sent)
	e.set(id, "attempt = 3, last_error = 'old'")
	ctx := e.inHandler(id, errors.New("card declined"))
	if err := effect(ctx, e.db, errChangedMind); !errors.Is(err, errChangedMind) {
		e.Error(err)
	}
	if got := e.get(id); got.State != ackbox.Sent || got.LastError != "old" {
		e.Errorf("rolled back %+v", got)
	}
	e.must(effect(ctx, e.db, nil))
	got := e.get(id)
	if got.State != ackbox.Dead || got.FinishedAt == nil || got.LastError != "card declined" ||
		len(got.History) != 1 || got.History[0].Error != "card declined" || got.History[0].Attempt != 3 || len(got.Payload) == 0 {
		e.Errorf("given up %+v", got)
	}
	if err := effect(e.inHandler(id, errors.New("card declined")), e.db, nil); !errors.Is(err, ackbox.ErrSuperseded) {
		e.Errorf("given up twice: %v", err)
	}
	e.wantRows(1, 1)
}

// A worker may complete a job that the dispatcher has yet to record as sent.
func completeBeforeSent(e *env) {
	id := e.enqueue()
	e.must(effect(e.inHandler(id, nil), e.db, nil))
	if got := e.get(id); got.State != ackbox.Done || got.SentAt == nil {
		e.Errorf("completed while pending: %+v", got)
	}
	if got := e.relay(1, acked); got != nil {
		e.Errorf("claimed %v", got)
	}
}

func completeRefused(e *env) {
	s := e.store()
	id := e.enqueueAs(ackbox.Sent)
	job := e.get(id).Job
	refused := func(ctx context.Context, words ...string) {
		e.Helper()
		err := e.db.Transaction(func(tx *gorm.DB) error {
			e.wantError(outbox.Complete(ctx, tx), words...)
			return s.Complete(ctx, tx)
		})
		e.wantError(err, words...)
	}
	refused(e.ctx, "not a handler's")
	for _, change := range []func(*ackbox.Job){
		func(j *ackbox.Job) { j.ID = "7" },
		func(j *ackbox.Job) { j.ID = outbox.NewID() },
		func(j *ackbox.Job) { j.Attempt = 1 << 40 },
		func(j *ackbox.Job) { j.Attempt = 0 },
	} {
		forged := job
		change(&forged)
		err := effect(ackbox.WithRun(e.ctx, ackbox.Run{Job: forged}), e.db, nil)
		if !errors.Is(err, ackbox.ErrSuperseded) || errors.Is(err, ackbox.ErrMissing) != (forged.ID != id) {
			e.Errorf("forged job %+v: %v", forged, err)
		}
	}
	if err := outbox.Complete(e.inHandler(id, nil), e.db); !errors.Is(err, outbox.ErrNotInTransaction) {
		e.Errorf("without a transaction: %v", err)
	}
	e.wantState(ackbox.Sent, id)
}

func completeSQLTx(e *env) {
	s := e.store()
	pool, err := e.db.DB()
	e.must(err)
	id := e.enqueueAs(ackbox.Sent)
	ctx := e.inHandler(id, nil)
	for _, commit := range []bool{false, true} {
		tx, err := pool.BeginTx(e.ctx, nil)
		e.must(err)
		e.must(s.CompleteTx(ctx, tx))
		e.must(s.CompleteTx(ctx, tx)) // in the same transaction it does nothing more
		if !commit {
			e.must(tx.Rollback())
			e.wantState(ackbox.Sent, id)
			continue
		}
		e.must(tx.Commit())
		if err := s.CompleteTx(ctx, tx); !errors.Is(err, sql.ErrTxDone) {
			e.Errorf("a finished *sql.Tx: %v", err)
		}
	}
	e.wantState(ackbox.Done, id)
}

func finishedTransaction(e *env) {
	id := e.enqueueAs(ackbox.Sent)
	ctx := e.inHandler(id, nil)
	for _, end := range []func(*gorm.DB) *gorm.DB{(*gorm.DB).Commit, (*gorm.DB).Rollback} {
		tx := e.db.Begin()
		e.must(end(tx).Error)
		for what, err := range map[string]error{"Enqueue": outbox.Enqueue(e.ctx, tx, note{}), "Complete": outbox.Complete(ctx, tx)} {
			if !errors.Is(err, sql.ErrTxDone) {
				e.Errorf("%s in a finished transaction: %v", what, err)
			}
		}
	}
	e.wantState(ackbox.Sent, id)
	e.wantRows(1, 0)
}

// A second call in the transaction of the first does nothing more. In another one it is
// told what the matter is, once the first is committed; a first that was rolled back is
// as if it had not been.
func completeTwice(e *env) {
	for _, cause := range []error{nil, errors.New("no")} {
		id := e.enqueueAs(ackbox.Sent)
		ctx := e.inHandler(id, cause)
		twice := func(tx *gorm.DB) error {
			return errors.Join(outbox.Complete(ctx, tx), outbox.Complete(ctx, tx))
		}
		err := e.db.Transaction(func(tx *gorm.DB) error { return errors.Join(twice(tx), errChangedMind) })
		if !errors.Is(err, errChangedMind) || errors.Is(err, ackbox.ErrSuperseded) {
			e.Errorf("twice, rolled back: %v", err)
		}
		e.wantState(ackbox.Sent, id)
		e.must(e.db.Transaction(twice))
		if !e.get(id).State.Final() {
			e.Errorf("completed twice, and it is %+v", e.get(id))
		}
		err = e.db.Transaction(twice)
		if !errors.Is(err, outbox.ErrCompleted) || errors.Is(err, ackbox.ErrSuperseded) {
			e.Errorf("in another transaction: %v", err)
		}
		// Another run of the same job is another matter.
		err = effect(e.inHandler(id, cause), e.db, nil)
		if !errors.Is(err, ackbox.ErrSuperseded) || errors.Is(err, outbox.ErrCompleted) {
			e.Errorf("another run: %v", err)
		}
	}
	e.wantRows(2, 0)
}

// What was completed in a savepoint that was rolled back is not completed.
func completeInSavepoint(e *env) {
	id := e.enqueueAs(ackbox.Sent)
	ctx := e.inHandler(id, nil)
	e.must(e.db.Transaction(func(tx *gorm.DB) error {
		err := tx.Transaction(func(tx *gorm.DB) error { return errors.Join(outbox.Complete(ctx, tx), errChangedMind) })
		if !errors.Is(err, errChangedMind) || errors.Is(err, ackbox.ErrSuperseded) {
			e.Errorf("in a savepoint: %v", err)
		}
		e.must(outbox.Complete(ctx, tx))
		return tx.Transaction(func(tx *gorm.DB) error { return outbox.Complete(ctx, tx) })
	}))
	e.wantState(ackbox.Done, id)
	// Another copy finished it after the savepoint was rolled back.
	id = e.enqueueAs(ackbox.Sent)
	ctx = e.inHandler(id, nil)
	err := e.db.Transaction(func(tx *gorm.DB) error {
		_ = tx.Transaction(func(tx *gorm.DB) error { return errors.Join(outbox.Complete(ctx, tx), errChangedMind) })
		e.must(tx.Exec("UPDATE " + e.table() + " SET state = 'done', finished_at = " + e.at(time.Second) + " WHERE id = '" + id + "'").Error)
		return outbox.Complete(ctx, tx)
	})
	if !errors.Is(err, ackbox.ErrSuperseded) {
		e.Errorf("finished by another meanwhile: %v", err)
	}
}

// Whoever completes first has completed the job, on record or not.
func completeByZombie(e *env) {
	other := e.worker()
	id := e.enqueueAs(ackbox.Sent)
	zombie := e.inHandler(id, nil)
	e.set(id, "resend = 1")
	e.held(id, other, true)
	e.must(effect(zombie, e.db, nil))
	if err := effect(e.inHandler(id, nil), e.db, nil); !errors.Is(err, ackbox.ErrSuperseded) {
		e.Errorf("the second: %v", err)
	}
	e.wantState(ackbox.Done, id)
	e.wantRows(1, 1)
}
