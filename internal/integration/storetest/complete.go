package storetest

import (
	"errors"
	"testing"

	"gorm.io/gorm"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/outbox"
)

func (b *bench) orders() int64 {
	b.Helper()
	var n int64
	b.must(b.db.Raw("SELECT count(*) FROM orders").Scan(&n).Error)
	return n
}

func testComplete(t *testing.T, b *bench) {
	id := b.send()
	ctx := ackbox.WithRun(t.Context(), ackbox.Run{Job: b.get(id).Job})
	effect := func(n int, after error) error {
		return b.db.Transaction(func(tx *gorm.DB) error {
			if err := tx.Exec("INSERT INTO orders (id) VALUES (?)", n).Error; err != nil {
				return err
			}
			return errors.Join(outbox.Complete(ctx, tx), after)
		})
	}
	if err := effect(1, errRollback); !errors.Is(err, errRollback) || errors.Is(err, ackbox.ErrSuperseded) {
		t.Fatal(err)
	}
	b.is(id, ackbox.Sent, 1, 0)
	b.must(effect(2, nil))
	b.is(id, ackbox.Done, 1, 0)
	if err := effect(3, nil); !errors.Is(err, ackbox.ErrSuperseded) {
		t.Errorf("the second run: %v, want ErrSuperseded", err)
	}
	if n := b.orders(); n != 1 {
		t.Errorf("%d effects, want 1", n)
	}
	if v := b.finish(ackbox.Transition{ID: id, Attempt: 1, To: ackbox.Done}); v != ackbox.Stale {
		t.Errorf("the worker's own report is %s, want stale", v)
	}

	// From FailAction, the job is dead.
	id = b.send()
	ctx = ackbox.WithRun(t.Context(), ackbox.Run{Job: b.get(id).Job, Cause: errors.New("out of tries\x00")})
	b.must(effect(4, nil))
	b.is(id, ackbox.Dead, 1, 0)
	if e := b.get(id); len(e.Errors) != 1 || e.Errors[0].Error != e.LastError || e.LastError == "" {
		t.Errorf("last error %q, errors %v", e.LastError, e.Errors)
	}

	// A try that was taken over changes nothing.
	id = b.send()
	ctx = ackbox.WithRun(t.Context(), ackbox.Run{Job: b.get(id).Job})
	b.finish(ackbox.Transition{ID: id, Attempt: 1, To: ackbox.Pending, Charge: true})
	if err := effect(5, nil); !errors.Is(err, ackbox.ErrSuperseded) {
		t.Errorf("a superseded try: %v", err)
	}
	b.is(id, ackbox.Pending, 2, 0)

	// Outside of a handler, for a message without a row, outside a transaction.
	if err := b.db.Transaction(func(tx *gorm.DB) error { return outbox.Complete(t.Context(), tx) }); err == nil {
		t.Error("Complete outside of a handler is no error")
	}
	foreign := ackbox.WithRun(t.Context(), ackbox.Run{Job: ackbox.Job{ID: "m1"}})
	if err := b.db.Transaction(func(tx *gorm.DB) error { return outbox.Complete(foreign, tx) }); err == nil {
		t.Error("Complete of a message without a row is no error")
	}
	if err := outbox.Complete(ctx, b.db); !errors.Is(err, outbox.ErrNotInTransaction) {
		t.Errorf("Complete outside of a transaction: %v", err)
	}
}

func testSQLTx(t *testing.T, b *bench) {
	pool, err := b.db.DB()
	b.must(err)
	for _, commit := range []bool{false, true} {
		tx, err := pool.BeginTx(t.Context(), nil)
		b.must(err)
		b.must(b.store.EnqueueTx(t.Context(), tx, outbox.Item{Args: work{1}}))
		if commit {
			b.must(tx.Commit())
		} else {
			b.must(tx.Rollback())
		}
	}
	jobs := b.relay(sent)
	if len(jobs) != 1 {
		t.Fatalf("claimed %d jobs, want the committed one", len(jobs))
	}
	ctx := ackbox.WithRun(t.Context(), ackbox.Run{Job: jobs[0]})
	tx, err := pool.BeginTx(t.Context(), nil)
	b.must(err)
	b.must(b.store.CompleteTx(ctx, tx))
	b.must(tx.Commit())
	b.is(jobs[0].ID, ackbox.Done, 1, 0)
	if err := b.store.CompleteTx(ctx, nil); !errors.Is(err, outbox.ErrNotInTransaction) {
		t.Errorf("a nil *sql.Tx: %v", err)
	}
}

func testCheck(t *testing.T, b *bench) {
	id := b.send()
	for _, set := range []string{
		"state = 'done'", "state = 'odd'", "finished_at = due_at", "state = 'dead'", "sent_at = NULL", "attempt = 0", "max_attempts = 0", "kind = ''",
	} {
		if err := b.db.Exec("UPDATE "+b.table+" SET "+set+" WHERE id = ?", id).Error; err == nil {
			t.Errorf("SET %s was taken for a sent job", set)
		}
	}
	b.is(id, ackbox.Sent, 1, 0)
}
