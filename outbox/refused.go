package outbox

import (
	"context"
	"database/sql"
	"encoding/json"

	"github.com/ackbox/ackbox"
)

// Refused takes up to limit refused jobs of queues, the oldest of each first, and writes
// down that holder has started on them; limit is 1 to [MaxBatch]. What a holder has
// taken it gets no second time, unless it is let go by [Store.Reconcile] meanwhile;
// [Store.Finish] says what became of them. An instance that is not alive, see
// [Store.Beat], gets none. Safe to call from every instance at once.
func (s *Store) Refused(ctx context.Context, holder string, queues []string, limit int) ([]ackbox.Job, error) {
	if err := checkHolder(holder); err != nil {
		return nil, err
	}
	if err := checkLimit(limit); err != nil || len(queues) == 0 {
		return nil, err
	}
	ledger, err := s.Identity(ctx)
	if err != nil {
		return nil, err
	}
	names, err := json.Marshal(queues)
	if err != nil {
		return nil, err
	}
	args := []any{string(names), limit, holder, limit, holder}
	if !s.d.numbered {
		args = []any{string(names), holder, limit, holder}
	}
	var jobs []ackbox.Job
	var r row
	fields := append(r.textFields(), &r.refused)
	err = s.each(ctx, "take refused jobs", s.sql.refused, func(rows *sql.Rows) error {
		r = row{}
		if err := rows.Scan(fields...); err != nil {
			return err
		}
		jobs = append(jobs, r.asJob())
		return nil
	}, args...)
	return sign(ledger, jobs), err
}
