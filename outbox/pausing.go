package outbox

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/ackbox/ackbox/internal/name"
)

// Pause has a queue stand still in all instances, until [Store.Resume]: from its commit on
// no claim takes jobs of the queue, so that what is not on its way yet stays in the table;
// within the time between two beats (3 s) its workers consume no more of it and give back
// what waits there. What runs goes on, is recorded, and runs again later if it fails.
// Messages that others publish to the queue wait in the broker, refused jobs for their
// FailAction. A worker or dispatcher that cannot reach the database does as it last heard.
//
// Any queue can be paused, whoever uses it; events, which have none, cannot. One that is
// paused already stays so, in the name of whoever paused it first. By whom it is done
// ([By]) and the reason are recorded as an [Operation] in the same transaction.
func (s *Store) Pause(ctx context.Context, queue, reason string) error {
	why := errorText(reason)
	return s.pausing(ctx, Operation{Action: ActionPause, Queue: queue, Reason: why}, s.sql.pause, queue, actorOf(ctx), why)
}

// Resume ends a pause, likewise, for the reason that [Because] has. A queue that is not
// paused stays so.
func (s *Store) Resume(ctx context.Context, queue string) error {
	err := s.pausing(ctx, Operation{Action: ActionResume, Queue: queue, Reason: reasonOf(ctx)}, s.sql.resume, queue)
	if err == nil {
		signal(s.wake)
	}
	return err
}

// pausing runs a statement about op's queue, and records op if that has changed something.
func (s *Store) pausing(ctx context.Context, op Operation, query string, args ...any) error {
	if err := name.CheckTheirs("the queue", op.Queue); err != nil {
		return fmt.Errorf("outbox: %s: %w", op.Action, err)
	}
	op.ID, op.State, op.By = NewID(), OperationDone, actorOf(ctx)
	return s.inTx(ctx, string(op.Action)+" queue "+op.Queue, func(ctx context.Context, tx *sql.Tx) error {
		if n, err := affected(tx.ExecContext(ctx, query, args...)); err != nil || n == 0 {
			return err
		}
		return s.writeOperation(ctx, tx, &op)
	})
}

// Pauses returns the queues that stand still, by name.
func (s *Store) Pauses(ctx context.Context) ([]Pause, error) {
	var list []Pause
	err := s.each(ctx, "list the queues that are paused", s.sql.pauses, func(rows *sql.Rows) error {
		var p Pause
		var at dbTime
		if err := rows.Scan(&p.Queue, &at, &p.By, &p.Reason); err != nil {
			return err
		}
		p.At = at.Time
		list = append(list, p)
		return nil
	})
	return list, err
}
