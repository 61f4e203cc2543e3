package outbox

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/ackbox/ackbox/internal/failpoint"
)

// CarryOn does one step of the oldest running operation that nobody else has in hand, and
// returns how many jobs it changed: up to limit, 1 to [MaxBatch], of the next 10,000. more
// is false where no operation runs. A step is one transaction: what it changed and how far
// the operation has come are durable together, so that whoever goes on, after a death or a
// restart, does nothing twice. A step that fails leaves its error in the operation, which
// is tried again when no other has anything to do. It is to be called again and again;
// retry.Sweeper does. Safe to call from every instance at once.
func (s *Store) CarryOn(ctx context.Context, limit int) (changed int, more bool, err error) {
	if err := checkLimit(limit); err != nil {
		return 0, false, err
	}
	var op Operation
	err = s.inTx(ctx, "carry an operation on", func(ctx context.Context, tx *sql.Tx) (err error) {
		changed, op = 0, Operation{} // a second call begins anew
		var at string
		op, err = readOperation(tx.QueryRowContext(ctx, s.sql.carry).Scan, &at)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return nil
		case err != nil:
			return err
		}
		changed, err = s.takeStep(ctx, tx, &op, at, limit)
		return err
	})
	switch {
	case err == nil:
		if op.Action == ActionRequeue || op.Action == ActionRunNow {
			changed, _ = s.woken(changed, nil)
		}
		return changed, op.ID != "", nil
	case op.ID == "" || ctx.Err() != nil:
		return 0, false, err
	}
	_, noted := s.exec(ctx, "note that an operation fails", s.sql.carryFailed, errorText(err.Error()), op.ID)
	return 0, true, errors.Join(err, noted)
}

// takeStep looks at the next rows of an operation, does its action to those that match, and
// writes down how far it has come.
func (s *Store) takeStep(ctx context.Context, tx *sql.Tx, op *Operation, at string, limit int) (int, error) {
	var from spot
	if at != "" {
		if err := json.Unmarshal([]byte(at), &from); err != nil {
			return 0, s.carried(ctx, tx, op, from, 0, 0, OperationFailed, fmt.Sprintf("outbox: its place cannot be read: %v", err))
		}
	}
	if op.Filter == nil {
		return 0, s.carried(ctx, tx, op, from, 0, 0, OperationFailed, op.Error)
	}
	if err := checkOperation(op.Action, *op.Filter); err != nil {
		return 0, s.carried(ctx, tx, op, from, 0, 0, OperationFailed, err.Error())
	}
	ways := stretches(op.Action, *op.Filter)
	if from.Stretch < 0 || from.Stretch >= len(ways) {
		return 0, s.carried(ctx, tx, op, from, 0, 0, OperationDone, "")
	}
	if _, err := s.ready(ctx, tx); err != nil {
		return 0, err
	}
	seen, err := s.survey(ctx, tx, ways[from.Stretch], op.Action, *op.Filter, from, op.CreatedAt, stepLook)
	if err != nil {
		return 0, err
	}
	seen, ids, ended := portion(seen, min(limit, stepChange))
	var changed []string
	if len(ids) > 0 {
		if changed, err = s.change(ctx, tx, op, ids); err != nil {
			return 0, err
		}
	}
	failpoint.Hit(failpoint.Carried)
	to, state := from, OperationRunning
	if len(seen) > 0 {
		to = seen[len(seen)-1].spot
	}
	if ended {
		if to = (spot{Stretch: from.Stretch + 1}); to.Stretch == len(ways) {
			state = OperationDone
		}
	}
	return len(changed), s.carried(ctx, tx, op, to, len(changed), len(seen), state, "")
}

// portion is as much of what was seen as one step is for: the ids are of those that match.
// ended says that there is nothing behind it.
func portion(seen []sight, limit int) (part []sight, ids []string, ended bool) {
	for i, one := range seen {
		if !one.match {
			continue
		}
		if ids = append(ids, one.ID); len(ids) == limit {
			return seen[:i+1], ids, false
		}
	}
	return seen, ids, len(seen) < stepLook
}

func (s *Store) carried(ctx context.Context, tx *sql.Tx, op *Operation, to spot, changed, looked int, state OperationState, failure string) error {
	at, err := json.Marshal(to)
	if err != nil {
		return fmt.Errorf("encode the operation's place: %w", err)
	}
	_, err = tx.ExecContext(ctx, s.sql.carried, changed, looked, string(at), string(state), errorText(failure), string(state), op.ID)
	if err != nil {
		return fmt.Errorf("record the operation's step: %w", err)
	}
	return nil
}

// ready makes a transaction ready for looking along indexes, whatever the table's
// statistics say of them, and returns the database's time.
func (s *Store) ready(ctx context.Context, c conn) (time.Time, error) {
	var now dbTime
	var set string
	if err := c.QueryRowContext(ctx, s.sql.ready).Scan(&now, &set); err != nil {
		return time.Time{}, fmt.Errorf("prepare the session: %w", err)
	}
	return now.Time, nil
}
