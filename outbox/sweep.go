package outbox

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/ackbox/ackbox"
)

// Rearm makes up to limit nacked jobs that are due publishable again and
// returns how many; limit is 1 to [MaxBatch]. Safe to call from every instance
// at once.
func (s *Store) Rearm(ctx context.Context, limit int) (int, error) {
	if err := checkLimit(limit); err != nil {
		return 0, err
	}
	n, err := s.exec(ctx, "rearm nacked jobs", s.sql.rearm, limit)
	if n > 0 {
		signal(s.wake)
	}
	return n, err
}

// Ages returns, for each queue with sent jobs that are not finished, how old
// the oldest is and how far the queue has been worked off, as told by the
// latest 2,000 finished rows. Jobs that were sent more than once tell nothing:
// it may be an early copy that was finished.
func (s *Store) Ages(ctx context.Context) ([]ackbox.QueueAge, error) {
	ctx, cancel := s.deadline(ctx)
	defer cancel()
	var ages []ackbox.QueueAge
	err := s.each(ctx, s.sql.ages, func(rows *sql.Rows) error {
		var a ackbox.QueueAge
		var oldest, now dbTime
		if err := rows.Scan(&a.Queue, &oldest, &now); err != nil {
			return err
		}
		a.Oldest, a.Now = oldest.Time, now.Time
		ages = append(ages, a)
		return nil
	})
	if err != nil || len(ages) == 0 {
		return nil, err
	}
	frontiers := make(map[string]time.Time, len(ages))
	err = s.each(ctx, s.sql.frontiers, func(rows *sql.Rows) error {
		var queue string
		var sent dbTime
		if err := rows.Scan(&queue, &sent); err != nil {
			return err
		}
		frontiers[queue] = sent.Time
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i := range ages {
		ages[i].Frontier = frontiers[ages[i].Queue]
	}
	return ages, nil
}

func (s *Store) each(ctx context.Context, query string, scan func(*sql.Rows) error) error {
	rows, err := s.pool.QueryContext(ctx, query)
	if err != nil {
		return fmt.Errorf("outbox: read the ages of queues: %w", err)
	}
	defer func() { _ = rows.Close() }() // its error is rows.Err's
	for rows.Next() {
		if err := scan(rows); err != nil {
			return fmt.Errorf("outbox: read the ages of queues: %w", err)
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("outbox: read the ages of queues: %w", err)
	}
	return nil
}

// Resend makes up to limit sent jobs of queue publishable again as another
// copy, if nobody has vouched for them since before and for at least idle. It
// returns how many; limit is 1 to [MaxBatch]. Whether such jobs are lost is for
// the caller to know. Safe to call from every instance at once.
func (s *Store) Resend(ctx context.Context, queue string, before time.Time, idle time.Duration, limit int) (int, error) {
	if err := checkLimit(limit); err != nil {
		return 0, err
	}
	if !plain(queue) {
		return 0, nil // no row has such a queue
	}
	n, err := s.exec(ctx, "resend lost jobs", s.sql.resend, queue, s.d.timeParam(before), millis(idle), limit)
	if n > 0 {
		signal(s.wake)
	}
	return n, err
}

// Purge deletes up to limit rows that were finished (done, cancelled, or sent
// for a publish-only message) more than finished ago, and up to limit dead
// ones older than dead; limit is 1 to [MaxBatch]. It returns how many. Safe to
// call from every instance at once.
//
// With Config.Partitioned, finished rows are deleted from the default partition
// only: those of a day go with it, by [Store.DropPartitions].
func (s *Store) Purge(ctx context.Context, finished, dead time.Duration, limit int) (int, error) {
	if err := checkLimit(limit); err != nil {
		return 0, err
	}
	n, err := s.exec(ctx, "purge finished jobs", s.sql.purge, millis(finished), limit)
	if err != nil {
		return n, err
	}
	m, err := s.exec(ctx, "purge dead jobs", s.sql.purgeDead, millis(dead), limit)
	return n + m, err
}
