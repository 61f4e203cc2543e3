package outbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Requeue gives those among ids that are dead or cancelled all their tries again and makes
// them due now; their history is kept. The number of the try goes on, so that what an
// earlier one still reports changes nothing. It returns how many it changed, also beside
// an error: thousands of ids take several transactions. An id that is no UUID
// fails the call before anything is changed.
//
// What was changed is recorded, by whom ([By]) and why ([Because]), in each job's history
// and as an [Operation], in the transaction that changed it.
func (s *Store) Requeue(ctx context.Context, ids ...string) (int, error) {
	return s.woken(s.act(ctx, ActionRequeue, ids))
}

// Cancel withdraws the jobs among ids that are pending, nacked or refused; a job that
// was sent is not stopped, and one that is on the wire is waited for. It counts and
// records like [Store.Requeue].
func (s *Store) Cancel(ctx context.Context, ids ...string) (int, error) {
	return s.act(ctx, ActionCancel, ids)
}

// RunNow makes those among ids due now that wait: for their time, for a retry, or, refused
// by the broker, for another try of it. It counts and records like [Store.Requeue].
func (s *Store) RunNow(ctx context.Context, ids ...string) (int, error) {
	return s.woken(s.act(ctx, ActionRunNow, ids))
}

// Reschedule makes those among ids due at another time that wait to be published, whatever
// they wait for. A time that is past is now; the zero Time is an error, and so is a year
// that has not four digits. How long the broker has refused a job counts from 0 again. It
// counts and records like [Store.Requeue].
func (s *Store) Reschedule(ctx context.Context, at time.Time, ids ...string) (int, error) {
	if year := at.UTC().Year(); at.IsZero() || year < 1 || year > 9999 {
		return 0, fmt.Errorf("outbox: reschedule: the time is %v: want one that was set, of the years 1 to 9999", at)
	}
	return s.woken(s.act(ctx, ActionReschedule, ids, s.d.timeParam(at)))
}

// Delete deletes the rows of those among ids that are finished: done, dead, cancelled, or
// sent without a queue. A late copy of such a job is told by nothing any more. It counts
// like [Store.Requeue]; the record is the [Operation] alone.
func (s *Store) Delete(ctx context.Context, ids ...string) (int, error) {
	return s.act(ctx, ActionDelete, ids)
}

// woken wakes the dispatcher of this process if jobs became due.
func (s *Store) woken(n int, err error) (int, error) {
	if n > 0 {
		signal(s.wake)
	}
	return n, err
}

// act does action to some of ids, each statement's worth in a transaction with the record of it.
func (s *Store) act(ctx context.Context, action Action, ids []string, args ...any) (int, error) {
	for _, id := range ids {
		if !validID(id) {
			return 0, fmt.Errorf("outbox: %s: %q is not a UUID", action, id)
		}
	}
	changed := 0
	for some := range slices.Chunk(ids, rowsPerStatement) {
		op := Operation{ID: NewID(), Action: action, By: actorOf(ctx), Reason: reasonOf(ctx), State: OperationDone, LookedAt: int64(len(some))}
		err := s.inTx(ctx, string(action), func(ctx context.Context, tx *sql.Tx) (err error) {
			if op.IDs, err = s.change(ctx, tx, &op, some, args...); err != nil || len(op.IDs) == 0 {
				return err
			}
			op.Changed = int64(len(op.IDs))
			op.Expected = Count{N: len(op.IDs)}
			return s.writeOperation(ctx, tx, &op)
		})
		if err != nil {
			return changed, err
		}
		changed += len(op.IDs)
	}
	return changed, nil
}

// change does op's action to those of ids that are fit for it, and returns which they are.
func (s *Store) change(ctx context.Context, tx *sql.Tx, op *Operation, ids []string, args ...any) ([]string, error) {
	args = append([]any{s.d.idList(ids)}, args...)
	if op.Action != ActionDelete {
		args = append(slices.Insert(args, 1, any(s.d.ofOperation(op.ID))), op.By, op.Reason, op.ID)
	}
	changed, err := readIDs(tx.QueryContext(ctx, s.sql.acting[op.Action], args...))
	if err != nil {
		return nil, err
	}
	list := make([]string, 0, len(changed))
	for id := range changed {
		list = append(list, id)
	}
	slices.Sort(list)
	return list, nil
}

// inTx runs do in a transaction, for which two statements' time is enough. A session that
// can only read is not the last word, see type pool.
func (s *Store) inTx(ctx context.Context, what string, do func(context.Context, *sql.Tx) error) error {
	began := time.Now()
	err := s.tryTx(ctx, do)
	if s.pool.clean(ctx, began, err) {
		err = s.tryTx(ctx, do)
	}
	if err != nil {
		return fmt.Errorf("outbox: %s: %w", what, explain(err))
	}
	return nil
}

func (s *Store) tryTx(ctx context.Context, do func(context.Context, *sql.Tx) error) (err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*s.cfg.StatementTimeout)
	defer cancel()
	var options sql.TxOptions
	if s.d.schemas {
		options.Isolation = sql.LevelReadCommitted // whatever the database's default is
	}
	tx, err := s.pool.BeginTx(ctx, &options)
	if err != nil {
		return err
	}
	defer func() {
		if rollback := tx.Rollback(); err != nil && rollback != nil && !errors.Is(rollback, sql.ErrTxDone) {
			err = errors.Join(err, rollback)
		}
	}()
	if err := do(ctx, tx); err != nil {
		return err
	}
	return tx.Commit()
}
