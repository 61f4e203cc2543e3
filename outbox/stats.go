package outbox

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// StatsQuery selects what [Store.Stats] returns.
type StatsQuery struct {
	// From and To bound the time: at most 25 hours by minutes, 31 days by hours.
	From, To time.Time
	// Step is time.Minute or time.Hour.
	Step time.Duration
	// Queue and Kind select, where set.
	Queue, Kind string
	// ByQueue and ByKind keep queues, and kinds, apart; otherwise they are added up.
	ByQueue, ByKind bool
}

// Stat is what happened in one step of time.
type Stat struct {
	At          time.Time
	Queue, Kind string
	// Enqueued jobs were written in that time, as far as they have been given to the broker
	// for the first time by now; Sent counts messages that the broker has confirmed, Refused
	// those that it did not take.
	Enqueued, Sent, Refused int64
	// Done jobs were handled, Failed tries were charged and run again, Dead jobs were given
	// up.
	Done, Failed, Dead int64
	// Wait is from a message's being due to its being claimed, to be sent; Run how long
	// handlers ran.
	Wait, Run Histogram
}

const (
	maxMinuteStats = 25 * time.Hour
	maxHourStats   = 31 * 24 * time.Hour
	// maxStats is how many rows one query may read.
	maxStats = 100_000
)

// Stats returns what happened between q.From, rounded down to q.Step, and q.To: steps in
// which nothing did are left out. They are in the order of time, queue and kind.
//
// A number is some seconds old at least: every process writes what it has counted each 10 s,
// and what one has not written yet when it dies is counted nowhere. The kinds of more than
// 500 pairs of queue and kind in a minute of one process are added up as "(other)". Statistics
// are kept for 26 hours by minutes and for 31 days by hours, see retry.Config.
//
// A query that would have to read more than 100,000 rows is refused with [ErrSlow]: name a
// queue or a kind, or ask for less time. Safe for concurrent use.
func (s *Store) Stats(ctx context.Context, q StatsQuery) ([]Stat, error) {
	if err := q.check(); err != nil {
		return nil, err
	}
	if !plain(q.Queue) || !plain(q.Kind) {
		return nil, nil // no row has such a name
	}
	var read int
	sums := make(map[statKey]*Stat)
	err := s.look(ctx, "read statistics", func(ctx context.Context, c conn) error {
		rows, err := c.QueryContext(ctx, s.sql.stat, int64(q.Step/time.Second), s.d.timeParam(q.From.Truncate(q.Step)), s.d.timeParam(q.To),
			q.Queue, q.Queue, q.Kind, q.Kind, maxStats+1)
		return scanEach(rows, err, func(rows *sql.Rows) error {
			read++
			return addStat(rows, q, sums)
		})
	})
	if err != nil {
		return nil, err
	}
	if read > maxStats {
		return nil, fmt.Errorf("outbox: read statistics: there are more than %d rows of them: %w, or ask for less time, or by hours", maxStats, ErrSlow)
	}
	list := make([]Stat, 0, len(sums))
	for _, stat := range sums {
		list = append(list, *stat)
	}
	slices.SortFunc(list, func(a, b Stat) int {
		return cmp.Or(a.At.Compare(b.At), strings.Compare(a.Queue, b.Queue), strings.Compare(a.Kind, b.Kind))
	})
	return list, nil
}

func (q StatsQuery) check() error {
	most := maxMinuteStats
	switch q.Step {
	case time.Minute:
	case time.Hour:
		most = maxHourStats
	default:
		return fmt.Errorf("outbox: StatsQuery.Step is %v: want 1m0s or 1h0m0s", q.Step)
	}
	if q.From.IsZero() || !q.To.After(q.From) {
		return errors.New("outbox: StatsQuery.To is not after From: want two times")
	}
	if d := q.To.Sub(q.From); d > most {
		return fmt.Errorf("outbox: StatsQuery is about %v: want %v at most by steps of %v", d, most, q.Step)
	}
	return nil
}

// statKey is what rows have in common that are added up.
type statKey struct {
	at time.Time
	pair
}

// addStat reads a row and adds it up.
func addStat(rows *sql.Rows, q StatsQuery, sums map[statKey]*Stat) error {
	var at dbTime
	var n Stat
	var wait, run sql.RawBytes // there may be very many
	if err := rows.Scan(&at, &n.Queue, &n.Kind, &n.Enqueued, &n.Sent, &n.Refused, &n.Done, &n.Failed, &n.Dead, &wait, &run); err != nil {
		return err
	}
	key := statKey{at: at.Time}
	if q.ByQueue {
		key.queue = n.Queue
	}
	if q.ByKind {
		key.kind = n.Kind
	}
	sum := sums[key]
	if sum == nil {
		sum = &Stat{At: at.Time, Queue: key.queue, Kind: key.kind}
		sums[key] = sum
	}
	sum.Enqueued += n.Enqueued
	sum.Sent += n.Sent
	sum.Refused += n.Refused
	sum.Done += n.Done
	sum.Failed += n.Failed
	sum.Dead += n.Dead
	return errors.Join(sum.Wait.addText(wait), sum.Run.addText(run))
}

// PurgeStats deletes up to limit rows of statistics that are older than retention, of those
// by minutes, or by hours; limit is 1 to [MaxBatch]. It returns how many. Safe to call from
// every instance at once.
func (s *Store) PurgeStats(ctx context.Context, step, retention time.Duration, limit int) (int, error) {
	if step != time.Minute && step != time.Hour {
		return 0, fmt.Errorf("outbox: purge statistics: the step is %v: want 1m0s or 1h0m0s", step)
	}
	if err := checkLimit(limit); err != nil {
		return 0, err
	}
	return s.exec(ctx, "purge statistics", s.sql.purgeStats, int64(step/time.Second), millis(retention), limit)
}
