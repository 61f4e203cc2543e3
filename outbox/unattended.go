package outbox

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/ackbox/ackbox/internal/core"
)

// unattendedAfter is how long something may be in its place before it is counted.
const unattendedAfter = time.Minute

// Unattended returns, by name, the queues of which jobs are pending though due for over
// a minute while none was sent, or sent over a minute ago while nobody who is alive
// consumes the queue. Each count ends at 1,000. Jobs that are in somebody's hands do
// not count, nor do those of paused queues. It is for a message to people every now and then, not for a loop.
func (s *Store) Unattended(ctx context.Context) ([]core.Unattended, error) {
	queues, err := s.listQueues(ctx, "list the queues of pending jobs", s.sql.pendingQueues)
	if err != nil {
		return nil, err
	}
	sent, err := s.listQueues(ctx, "list the queues of sent jobs", s.sql.sentQueues)
	if err != nil {
		return nil, err
	}
	queues = append(queues, sent...)
	slices.Sort(queues)
	var all []core.Unattended
	for some := range slices.Chunk(slices.Compact(queues), rowsPerStatement) {
		names, err := json.Marshal(some)
		if err != nil {
			return nil, fmt.Errorf("outbox: encode the names of queues: %w", err)
		}
		ago := unattendedAfter.Milliseconds()
		err = s.each(ctx, "look for queues that nobody serves", s.sql.unattended, func(rows *sql.Rows) error {
			var u core.Unattended
			if err := rows.Scan(&u.Queue, &u.Due, &u.Sent); err != nil {
				return err
			}
			if u.Due > 0 || u.Sent > 0 {
				all = append(all, u)
			}
			return nil
		}, ago, ago, ago, ago, string(names))
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}
