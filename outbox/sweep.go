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

// NackedQueues returns the queues that have nacked jobs, in order of their names;
// that of publish-only messages is empty. Some may have none (any more).
func (s *Store) NackedQueues(ctx context.Context) ([]string, error) {
	return s.listQueues(ctx, "list the queues of nacked jobs", s.sql.nackedQueues)
}

// Rearm makes up to limit nacked jobs of queue that are due publishable again and
// returns how many; limit is 1 to [MaxBatch]. Safe to call from every instance
// at once.
func (s *Store) Rearm(ctx context.Context, queue string, limit int) (int, error) {
	n, err := s.sweepQueue(ctx, "rearm nacked jobs", s.sql.rearm, queue, 0, limit)
	if n > 0 {
		signal(s.wake)
	}
	return n, err
}

// FinishedQueues returns the queues that have finished jobs which are not dead,
// like [Store.NackedQueues]. With Config.Partitioned they are those of the default
// partition.
func (s *Store) FinishedQueues(ctx context.Context) ([]string, error) {
	return s.listQueues(ctx, "list the queues of finished jobs", s.sql.finishedQueues)
}

// Purge deletes up to limit rows of queue that were finished (done, cancelled, or
// sent for a publish-only message, whose queue is empty) more than retention ago;
// limit is 1 to [MaxBatch]. It returns how many. Safe to call from every instance
// at once.
//
// With Config.Partitioned, rows are deleted from the default partition only:
// those of a day go with it, by [Store.DropPartitions].
func (s *Store) Purge(ctx context.Context, queue string, retention time.Duration, limit int) (int, error) {
	return s.sweepQueue(ctx, "purge finished jobs", s.sql.purge, queue, retention, limit)
}

// PurgeDead is like [Store.Purge] for dead jobs, of all queues.
func (s *Store) PurgeDead(ctx context.Context, retention time.Duration, limit int) (int, error) {
	return s.sweepWith(ctx, "purge dead jobs", "", s.sql.purgeDead, nil, retention, limit)
}

// Resend makes up to limit sent jobs of queue publishable again as another
// copy, if they are in nobody's hands and were not seen since before and for at least
// idle: to be seen is to be sent, or to be let go by whoever had the job. It
// returns how many; limit is 1 to [MaxBatch]. Whether such jobs are lost is for
// the caller to know. Safe to call from every instance at once.
func (s *Store) Resend(ctx context.Context, queue string, before time.Time, idle time.Duration, limit int) (int, error) {
	n, err := s.sweepQueue(ctx, "resend lost jobs", s.sql.resend, queue, idle, limit, s.d.timeParam(before))
	if n > 0 {
		signal(s.wake)
	}
	return n, err
}

// sweepQueue runs a sweep's statement for the rows of queue that are of an age.
func (s *Store) sweepQueue(ctx context.Context, what, query, queue string, age time.Duration, limit int, args ...any) (int, error) {
	if !plain(queue) {
		return 0, checkLimit(limit) // no row has such a queue
	}
	return s.sweepWith(ctx, what, queue, query, append([]any{queue}, args...), age, limit)
}

// sweepWith runs a sweep's statement, with args before those for ages and limit.
func (s *Store) sweepWith(ctx context.Context, what, queue, query string, args []any, age time.Duration, limit int) (int, error) {
	if err := checkLimit(limit); err != nil {
		return 0, err
	}
	return s.inWindows(ctx, what+" "+queue, window{age, allAges}, limit, func(ctx context.Context, w window, most int) (int, error) {
		return s.exec(ctx, what, query, append(append(slices.Clone(args), w.args()...), most)...)
	})
}

// Ages returns, for each queue with sent jobs that are not finished, how far the
// queue has been worked off, as told by its latest 100 finished rows. Jobs that
// were sent more than once tell nothing: it may be an early copy that was
// finished. Some of the queues may have no sent jobs (any more).
func (s *Store) Ages(ctx context.Context) ([]core.QueueAge, error) {
	queues, err := s.listQueues(ctx, "list the queues of sent jobs", s.sql.sentQueues)
	if err != nil {
		return nil, err
	}
	ages := make([]core.QueueAge, 0, len(queues))
	for some := range slices.Chunk(queues, rowsPerStatement) {
		more, err := s.frontiers(ctx, some)
		if err != nil {
			return nil, err
		}
		ages = append(ages, more...)
	}
	return ages, nil
}

// frontiers looks how far queues have been worked off. What finished so long ago
// that it cannot be read in time tells little: it is left out.
func (s *Store) frontiers(ctx context.Context, queues []string) ([]core.QueueAge, error) {
	const what = "read how far queues have come"
	names, err := json.Marshal(queues)
	if err != nil {
		return nil, fmt.Errorf("outbox: %s: %w", what, err)
	}
	w, _, _ := s.walks.next(what, window{0, allAges}, 1)
	began := time.Now()
	var ages []core.QueueAge
	err = s.each(ctx, what, s.sql.frontiers, func(rows *sql.Rows) error {
		var a core.QueueAge
		var now, frontier dbTime
		if err := rows.Scan(&a.Queue, &now, &frontier); err != nil {
			return err
		}
		a.Now, a.Frontier = now.Time, frontier.Time
		ages = append(ages, a)
		return nil
	}, w.args()[1], string(names))
	switch {
	case err == nil:
		s.walks.read(what, w, time.Since(began), s.cfg.StatementTimeout/4)
	case s.walkable(ctx, err):
		s.walks.late(what, w, time.Since(began))
	}
	s.walks.restart(what)
	return ages, err
}

// listQueues lists the queues of an index. While not all of it can be read at once the
// list has also those that it was seen to have before, and the Store's own.
func (s *Store) listQueues(ctx context.Context, what, query string) ([]string, error) {
	var found []string
	walked := false
	_, err := s.inWindows(ctx, what, window{-allAges, allAges}, 1, func(ctx context.Context, w window, _ int) (int, error) {
		walked = w.old-w.young < 2*allAges
		names, err := s.queuesIn(ctx, what, query, w)
		found = append(found, names...)
		return 0, err
	})
	if err != nil {
		return nil, err
	}
	s.queues.learn(found)
	if walked {
		found = append(found, s.queues.known()...)
		slices.Sort(found)
	}
	return slices.Compact(found), nil
}

// queuesIn lists the queues that have rows of some ages, a thousand in each
// statement.
func (s *Store) queuesIn(ctx context.Context, what, query string, w window) ([]string, error) {
	var found []string
	for more, first := true, ""; more; {
		args := append([]any{first}, w.args()...)
		if s.d.numbered {
			args = append(args, w.args()...) // for the hop
		}
		n := 0
		err := s.each(ctx, what, query, func(rows *sql.Rows) error {
			var queue string
			if err := rows.Scan(&queue); err != nil {
				return err
			}
			n++
			found = append(found, queue)
			return nil
		}, append(args, rowsPerStatement)...)
		if err != nil {
			return found, err
		}
		if more = n == rowsPerStatement; more {
			first = found[len(found)-1] // once more: there is no name right after it
		}
	}
	return slices.Compact(found), nil
}

// each reads the rows of one statement.
func (s *Store) each(ctx context.Context, what, query string, scan func(*sql.Rows) error, args ...any) error {
	ctx, cancel := s.deadline(ctx)
	defer cancel()
	rows, err := s.pool.QueryContext(ctx, query, args...)
	if err != nil {
		return fmt.Errorf("outbox: %s: %w", what, err)
	}
	defer func() { _ = rows.Close() }() // its error is rows.Err's
	for rows.Next() {
		if err := scan(rows); err != nil {
			return fmt.Errorf("outbox: %s: %w", what, err)
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("outbox: %s: %w", what, err)
	}
	return nil
}
