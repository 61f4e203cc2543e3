package outbox

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// countCap is where counting ends.
const countCap = 10_000

// lastID is above every id.
const lastID = "ffffffff-ffff-ffff-ffff-ffffffffffff"

// Operation returns the operation with this id, or [ErrNotFound].
func (s *Store) Operation(ctx context.Context, id string) (Operation, error) {
	if !validID(id) {
		return Operation{}, fmt.Errorf("%w: operation %.100q is not a UUID", ErrNotFound, id)
	}
	ctx, cancel := s.deadline(ctx)
	defer cancel()
	op, err := readOperation(s.pool.QueryRowContext(ctx, s.sql.operation, id).Scan)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return Operation{}, fmt.Errorf("%w: operation %s", ErrNotFound, id)
	case err != nil:
		return Operation{}, fmt.Errorf("outbox: read operation %s: %w", id, explain(err))
	}
	return op, nil
}

// Operations lists what people did, the newest first: a page from after on, which is what
// the page before has returned as next, "" for the first; limit is 1 to 10,000. next is
// empty at the end.
func (s *Store) Operations(ctx context.Context, after string, limit int) (list []Operation, next string, err error) {
	if err := checkLimit(limit); err != nil {
		return nil, "", err
	}
	if after == "" {
		after = lastID
	}
	if !validID(after) {
		return nil, "", ErrPlace
	}
	err = s.each(ctx, "list operations", s.sql.operations, func(rows *sql.Rows) error {
		op, err := readOperation(rows.Scan)
		if err == nil {
			list = append(list, op)
		}
		return err
	}, after, limit+1)
	if err != nil {
		return nil, "", err
	}
	if len(list) > limit {
		list = list[:limit]
		next = list[limit-1].ID
	}
	return list, next, nil
}

// PurgeOperations deletes operations that ended more than retention ago, and returns how
// many: it looks at the oldest limit of them, 1 to [MaxBatch]. Safe to call from every
// instance at once.
func (s *Store) PurgeOperations(ctx context.Context, retention time.Duration, limit int) (int, error) {
	if err := checkLimit(limit); err != nil {
		return 0, err
	}
	return s.exec(ctx, "purge operations", s.sql.purgeOperations, limit, retention.Milliseconds())
}

// writeOperation records one that is over.
func (s *Store) writeOperation(ctx context.Context, c conn, op *Operation) error {
	var ids, queue any
	if op.IDs != nil {
		list, err := json.Marshal(op.IDs)
		if err != nil {
			return fmt.Errorf("encode ids: %w", err)
		}
		ids = string(list)
	}
	if op.Queue != "" {
		queue = op.Queue
	}
	_, err := c.ExecContext(ctx, s.sql.record, op.ID, string(op.Action), ids, queue, string(op.State),
		op.By, op.Reason, op.Expected.N, op.Changed, op.LookedAt)
	if err != nil {
		return fmt.Errorf("record the operation: %w", err)
	}
	return nil
}

// readOperation reads a row of operations. What somebody has edited so that it cannot be
// read is said in its Error.
func readOperation(scan func(...any) error, more ...any) (Operation, error) {
	var op Operation
	var ids, filter sql.NullString
	var created, updated, finished dbTime
	var expected int
	err := scan(append([]any{
		&op.ID, &op.Action, &ids, &op.Queue, &filter, &op.State, &op.By, &op.Reason,
		&created, &updated, &finished, &expected, &op.Changed, &op.LookedAt, &op.Error,
	}, more...)...)
	if err != nil {
		return Operation{}, err
	}
	op.CreatedAt, op.UpdatedAt, op.FinishedAt = created.Time, updated.Time, finished.pointer()
	op.Expected = Count{N: min(expected, countCap), More: expected > countCap}
	if ids.Valid {
		err = json.Unmarshal([]byte(ids.String), &op.IDs)
	}
	if filter.Valid {
		op.Filter = new(Filter)
		err = errors.Join(err, json.Unmarshal([]byte(filter.String), op.Filter))
	}
	if err != nil {
		op.Filter = nil
		op.Error = fmt.Sprintf("outbox: the operation cannot be read: %v", err)
	}
	return op, nil
}
