package outbox

import (
	"context"
	"database/sql"
	"encoding/json"
	"slices"
	"time"
)

// QueueStatus is how the jobs of one queue stand.
type QueueStatus struct {
	Queue string
	// Due jobs wait to be published now, Later ones are not due yet.
	Due, Later Count
	// Refused jobs were refused by the broker, for now or for good.
	Refused Count
	// Sent jobs are on the broker, or in a worker's hands; Running are those of them that
	// are on record as running.
	Sent, Running Count
	Dead          Count
	// OldestDue is since when the oldest due job has been due, OldestSent since when the
	// oldest sent one was last seen; zero where there is none.
	OldestDue, OldestSent time.Time
	// Consumers is how many living workers consume the queue.
	Consumers int
	// Paused is set while the queue is to stand still.
	Paused *Pause
}

// Pause is people's word that a queue is to stand still.
type Pause struct {
	Queue  string
	At     time.Time
	By     string
	Reason string
}

// QueueStatus returns, by name, how each queue stands that has unfinished jobs, is consumed
// by a living worker, is paused, or is named by Config.Queues; that of publish-only messages
// has no name. Each number ends at 10,000, or sooner where there are many queues, and Dead
// is of the newest 10,000 dead jobs. Bounds are those of [Store.List].
func (s *Store) QueueStatus(ctx context.Context) ([]QueueStatus, error) {
	var all []QueueStatus
	err := s.look(ctx, "look how queues stand", func(ctx context.Context, c conn) error {
		names := slices.Clone(s.cfg.Queues)
		for _, query := range s.ways.byQueue {
			found, err := s.queuesOn(ctx, c, query)
			if err != nil {
				return err
			}
			names = append(names, found...)
		}
		err := s.eachName(ctx, c, s.ways.moreQueues, func(name string, _ int) { names = append(names, name) })
		if err != nil {
			return err
		}
		slices.Sort(names)
		names = slices.Compact(names)
		if all, err = s.statusOf(ctx, c, names); err != nil {
			return err
		}
		at := make(map[string]*QueueStatus, len(all))
		for i := range all {
			at[all[i].Queue] = &all[i]
		}
		err = s.eachName(ctx, c, s.ways.deadByQueue, func(name string, n int) {
			if q := at[name]; q != nil {
				q.Dead = Count{N: min(n, maxSearched), More: n > maxSearched}
			}
		})
		if err != nil {
			return err
		}
		return s.eachName(ctx, c, s.ways.runningByQueue, func(name string, n int) {
			if q := at[name]; q != nil {
				q.Running = Count{N: n}
			}
		})
	})
	return all, err
}

// maxStatus is how many rows are counted in all, for each number of a queue.
const maxStatus = 20_000

func (s *Store) statusOf(ctx context.Context, c conn, names []string) ([]QueueStatus, error) {
	list, err := json.Marshal(names)
	if err != nil {
		return nil, err
	}
	most := min(maxSearched, maxStatus/max(1, len(names)))
	count := func(n int) Count { return Count{N: min(n, most), More: n > most} }
	var all []QueueStatus
	rows, err := c.QueryContext(ctx, s.ways.status, most+1, most+1, most+1, most+1, most+1, string(list))
	err = scanEach(rows, err, func(rows *sql.Rows) error {
		var q QueueStatus
		var due, later, nacked, refused, sent int
		var oldestDue, oldestSent, pausedAt dbTime
		var by, reason sql.NullString
		if err := rows.Scan(&q.Queue, &due, &later, &nacked, &refused, &sent, &oldestDue, &oldestSent, &q.Consumers, &pausedAt, &by, &reason); err != nil {
			return err
		}
		q.Due, q.Later, q.Refused, q.Sent = count(due), count(later), count(nacked+refused), count(sent)
		q.OldestDue, q.OldestSent = oldestDue.Time, oldestSent.Time
		if pausedAt.Valid {
			q.Paused = &Pause{Queue: q.Queue, At: pausedAt.Time, By: by.String, Reason: reason.String}
		}
		all = append(all, q)
		return nil
	})
	return all, err
}

// eachName calls what for each name of a queue, and number, that a statement returns.
func (s *Store) eachName(ctx context.Context, c conn, query string, what func(string, int)) error {
	rows, err := c.QueryContext(ctx, query)
	return scanEach(rows, err, func(rows *sql.Rows) error {
		var name string
		var n int
		if err := rows.Scan(&name, &n); err != nil {
			return err
		}
		what(name, n)
		return nil
	})
}
