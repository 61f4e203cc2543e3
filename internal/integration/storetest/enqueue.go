package storetest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"gorm.io/gorm"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/outbox"
)

var errChangedMind = errors.New("changed my mind")

// withOrder writes an order and its job.
func (e *env) withOrder(tx *gorm.DB) error {
	if err := tx.Create(&order{Note: "one"}).Error; err != nil {
		return err
	}
	return outbox.Enqueue(e.ctx, tx, note{"one"})
}

func commitAndRollback(e *env) {
	e.store()
	e.must(e.db.Transaction(e.withOrder))
	e.wantRows(1, 1)

	err := e.db.Transaction(func(tx *gorm.DB) error {
		e.must(e.withOrder(tx))
		return errChangedMind
	})
	if !errors.Is(err, errChangedMind) {
		e.Error(err)
	}
	e.wantRows(1, 1)

	tx := e.db.Begin()
	e.must(e.withOrder(tx))
	e.must(tx.Rollback().Error)
	e.wantRows(1, 1)

	func() {
		defer func() { _ = recover() }()
		_ = e.db.Transaction(func(tx *gorm.DB) error {
			e.must(e.withOrder(tx))
			panic(errChangedMind)
		})
	}()
	e.wantRows(1, 1)
}

func savepoints(e *env) {
	e.store()
	e.must(e.db.Transaction(func(tx *gorm.DB) error {
		e.must(e.withOrder(tx))
		err := tx.Transaction(func(nested *gorm.DB) error {
			e.must(e.withOrder(nested))
			return errChangedMind
		})
		if !errors.Is(err, errChangedMind) {
			e.Error(err)
		}
		return tx.Transaction(e.withOrder)
	}))
	e.wantRows(2, 2)

	e.must(e.db.Transaction(func(tx *gorm.DB) error {
		e.must(e.withOrder(tx))
		e.must(tx.SavePoint("before").Error)
		e.must(e.withOrder(tx))
		return tx.RollbackTo("before").Error
	}))
	e.wantRows(3, 3)
}

// hooked is an order that writes its own job.
type hooked struct {
	ID   uint
	Note string
}

// TableName implements gorm's Tabler.
func (hooked) TableName() string { return "orders" }

// AfterCreate is gorm's hook, in the transaction that gorm opens for Create.
func (h *hooked) AfterCreate(tx *gorm.DB) error {
	if err := outbox.Enqueue(tx.Statement.Context, tx, note{h.Note}); err != nil {
		return err
	}
	if h.Note == "refused" {
		return errChangedMind
	}
	return nil
}

func hook(e *env) {
	e.store()
	e.must(e.db.Create(&hooked{Note: "taken"}).Error)
	e.wantRows(1, 1)
	if err := e.db.Create(&hooked{Note: "refused"}).Error; !errors.Is(err, errChangedMind) {
		e.Error(err)
	}
	e.wantRows(1, 1)
	without := e.db.Session(&gorm.Session{SkipDefaultTransaction: true})
	if err := without.Create(&hooked{Note: "bare"}).Error; !errors.Is(err, outbox.ErrNotInTransaction) {
		e.Errorf("a hook without a transaction: %v", err)
	}
}

func notInTransaction(e *env) {
	s := e.store()
	refused := func(what string, db *gorm.DB) {
		e.Helper()
		for _, err := range []error{
			outbox.Enqueue(e.ctx, db, note{}), s.Enqueue(e.ctx, db, note{}), s.Complete(e.ctx, db), outbox.Complete(e.ctx, db),
			outbox.EnqueueAll(e.ctx, db), s.EnqueueAll(e.ctx, db, outbox.Item{Args: note{}, Options: []outbox.Option{outbox.OwnTransaction()}}, outbox.Item{Args: note{}}),
		} {
			if !errors.Is(err, outbox.ErrNotInTransaction) {
				e.Errorf("%s: %v", what, err)
			}
		}
	}
	refused("plain", e.db)
	refused("with context", e.db.WithContext(e.ctx))
	refused("chain", e.db.Model(&order{}).Where("id = 1"))
	refused("nil", nil)
	refused("zero", &gorm.DB{})
	e.must(e.db.Connection(func(db *gorm.DB) error {
		refused("one connection", db)
		return nil
	}))
	for _, db := range []*gorm.DB{nil, {}} {
		if err := s.Enqueue(e.ctx, db, note{}, outbox.OwnTransaction()); !errors.Is(err, outbox.ErrNotInTransaction) {
			e.Errorf("a transaction of its own on nothing: %v", err)
		}
	}
	for _, err := range []error{s.EnqueueTx(e.ctx, nil, outbox.Item{Args: note{}}), s.CompleteTx(e.ctx, nil)} {
		if !errors.Is(err, outbox.ErrNotInTransaction) {
			e.Errorf("nil *sql.Tx: %v", err)
		}
	}
	e.wantRows(0, 0)
	// A handle that carries an error of before is not used.
	e.must(e.db.Transaction(func(tx *gorm.DB) error {
		failed := tx.Session(&gorm.Session{})
		_ = failed.AddError(errChangedMind)
		if err := outbox.Enqueue(e.ctx, failed, note{}); !errors.Is(err, errChangedMind) {
			e.Errorf("a failed handle: %v", err)
		}
		return nil
	}))
	e.wantRows(0, 0)
}

func ownTransaction(e *env) {
	calls := 0
	cfg := e.config()
	cfg.HeadersFrom = func(context.Context, ackbox.Job) map[string]string { calls++; return nil }
	s := e.newStore(cfg)
	e.must(outbox.Enqueue(e.ctx, e.db, note{}, outbox.OwnTransaction()))
	if calls != 1 {
		e.Errorf("HeadersFrom was called %d times for one job", calls)
	}
	own := []outbox.Option{outbox.OwnTransaction()}
	e.must(s.EnqueueAll(e.ctx, e.db, outbox.Item{Args: note{}, Options: own}, outbox.Item{Args: note{}, Options: own}))
	e.wantRows(3, 0)
	// Inside of a transaction it belongs to it.
	_ = e.db.Transaction(func(tx *gorm.DB) error {
		e.must(outbox.Enqueue(e.ctx, tx, note{}, outbox.OwnTransaction()))
		return errChangedMind
	})
	e.wantRows(3, 0)
}

func noStore(e *env) {
	err := e.db.Transaction(func(tx *gorm.DB) error {
		if err := outbox.Complete(e.ctx, tx); !errors.Is(err, outbox.ErrNoStore) {
			e.Errorf("Complete: %v", err)
		}
		if err := outbox.EnqueueAll(e.ctx, tx); !errors.Is(err, outbox.ErrNoStore) {
			e.Errorf("EnqueueAll: %v", err)
		}
		return outbox.Enqueue(e.ctx, tx, note{})
	})
	if !errors.Is(err, outbox.ErrNoStore) {
		e.Error(err)
	}
}

func twoStores(e *env) {
	first := e.store()
	cfg := e.config()
	cfg.Table = "other_jobs"
	second, err := outbox.NewStore(e.db, cfg)
	e.must(err)
	e.must(second.Migrate(e.ctx))
	e.must(e.db.Transaction(func(tx *gorm.DB) error {
		if err := outbox.Enqueue(e.ctx, tx, note{}); !errors.Is(err, outbox.ErrNoStore) {
			e.Errorf("which Store was meant? %v", err)
		}
		return errors.Join(first.Enqueue(e.ctx, tx, note{}), second.Enqueue(e.ctx, tx, note{}))
	}))
	for _, s := range []*outbox.Store{first, second} {
		if c, err := s.Counts(e.ctx); err != nil || c[ackbox.Pending] != 1 {
			e.Errorf("counts %v, %v", c, err)
		}
	}
}

func many(e *env) {
	e.store()
	for _, n := range []int{0, 1, 3, 128, 129, 500} {
		items := make([]outbox.Item, n)
		for i := range items {
			items[i] = outbox.Item{Args: note{fmt.Sprint(i)}}
		}
		before := e.rows(e.table())
		e.must(e.db.Transaction(func(tx *gorm.DB) error { return outbox.EnqueueAll(e.ctx, tx, items...) }))
		if got := e.rows(e.table()) - before; got != int64(n) {
			e.Errorf("EnqueueAll of %d wrote %d", n, got)
		}
	}
	payloads := make(map[string]bool)
	n, err := e.store().Relay(e.ctx, core.Claim{Limit: 1000}, func(_ context.Context, jobs []ackbox.Job) []core.Transition {
		out := make([]core.Transition, len(jobs))
		for i, job := range jobs {
			payloads[string(job.Payload)] = true
			out[i] = acked(job)
		}
		return out
	})
	if err != nil || n != 761 || len(payloads) != 500 {
		e.Errorf("%d jobs with %d payloads, %v", n, len(payloads), err)
	}
}

func sameIDTwice(e *env) {
	id := e.enqueue()
	err := e.db.Transaction(func(tx *gorm.DB) error {
		e.must(tx.Create(&order{}).Error)
		return outbox.Enqueue(e.ctx, tx, note{"again"}, outbox.ID(id))
	})
	e.wantError(err, "outbox: write jobs")
	e.wantRows(1, 0)
	if got := string(e.get(id).Payload); got != `{"text":"hello"}` {
		e.Errorf("payload %s", got)
	}
}

func sqlTx(e *env) {
	s := e.store()
	pool, err := e.db.DB()
	e.must(err)
	for _, commit := range []bool{true, false} {
		tx, err := pool.BeginTx(e.ctx, nil)
		e.must(err)
		e.must(s.EnqueueTx(e.ctx, tx, outbox.Item{Args: note{"a"}}, outbox.Item{Args: note{"b"}}))
		if commit {
			e.must(tx.Commit())
			if err := s.EnqueueTx(e.ctx, tx, outbox.Item{Args: note{}}); !errors.Is(err, sql.ErrTxDone) {
				e.Errorf("a finished *sql.Tx: %v", err)
			}
		} else {
			e.must(tx.Rollback())
		}
	}
	e.wantRows(2, 0)
}

// Business code, dispatcher and worker use the table at once: nothing is lost
// and no statement fails.
func concurrently(e *env) {
	s := e.store()
	const writers, each = 4, 10
	report := func(err error) {
		if err != nil {
			e.Error(err)
		}
	}
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range each {
				report(e.db.WithContext(e.ctx).Transaction(e.withOrder))
			}
		})
	}
	wg.Go(func() {
		poll := time.NewTicker(5 * time.Millisecond)
		defer poll.Stop()
		for done := 0; done < writers*each && e.ctx.Err() == nil; {
			var batch []core.Transition
			_, err := s.Relay(e.ctx, core.Claim{Limit: 7}, func(_ context.Context, jobs []ackbox.Job) []core.Transition {
				out := make([]core.Transition, len(jobs))
				for i, job := range jobs {
					out[i] = acked(job)
					batch = append(batch, core.Transition{ID: job.ID, Attempt: 1, To: ackbox.Done})
				}
				return out
			})
			report(err)
			verdicts, err := s.Finish(e.ctx, batch)
			report(err)
			for _, v := range verdicts {
				if v == core.Recorded {
					done++
				}
			}
			if len(batch) == 0 {
				select {
				case <-s.Wake():
				case <-poll.C:
				case <-e.ctx.Done():
				}
			}
		}
	})
	wg.Wait()
	c, err := s.Counts(e.ctx)
	if err != nil || c[ackbox.Done] != writers*each {
		e.Errorf("counts %v, %v", c, err)
	}
}
