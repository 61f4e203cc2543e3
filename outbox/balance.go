package outbox

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"
)

// Balance is what the ledger says of one queue, to be compared with what the broker says.
// Counting ends at 100,000 of each.
type Balance struct {
	Queue string
	// Due jobs are pending though they have been due for longer than the patience asked for.
	Due int
	// Road are sent jobs that are in nobody's hands as far as is known, and were last seen
	// longer ago than that. Their messages are on the broker, unless they are lost: a worker
	// says within a second what it has.
	Road int
	// Held are sent jobs in somebody's hands.
	Held int
	// Refused jobs were refused by the broker for so long that it is not asked any more.
	Refused int
	// Suspects are some jobs with which something may be wrong, the oldest first.
	Suspects []Suspect
}

// Suspect is a job with which something may be wrong.
type Suspect struct {
	ID, Kind string
	Why      Suspicion
	// Since is when that began, as far as is known.
	Since time.Time
	// Holder is the instance in whose hands it is, Starts how often it was begun without an
	// outcome.
	Holder string
	Starts int
}

// Suspicion says what may be wrong with a job.
type Suspicion string

// What may be wrong with a job.
const (
	// Late: it is due, and no dispatcher has published it.
	Late Suspicion = "late"
	// Adrift: it was sent, and nobody is known to have it. It may wait on the broker.
	Adrift Suspicion = "adrift"
	// Orphaned: it is on record as held by an instance that is silent, or gone.
	Orphaned Suspicion = "orphaned"
	// Crashing: it was begun at least ten times without an outcome, as if it ended processes.
	Crashing Suspicion = "crashing"
	// Unroutable: the broker has refused it for so long that it is not asked any more.
	Unroutable Suspicion = "refused"
)

// crashingFrom is half of the worker's default of MaxStarts: from there on it runs such a
// job apart from others, too.
const crashingFrom = 10

// balanceLimit is how far counting goes.
const balanceLimit = 100_000

// Balances says, for every queue with unfinished jobs, how many there are on the way, and
// which are suspects: up to limit for each suspicion, 1 to 1,000. patience, from a second to
// a day, is how long a job may be where it is before it counts. It reads only what is
// unfinished, along indexes; each statement is bounded by Config.StatementTimeout.
func (s *Store) Balances(ctx context.Context, patience time.Duration, limit int) ([]Balance, error) {
	switch {
	case patience < time.Second || patience > 24*time.Hour:
		return nil, fmt.Errorf("outbox: patience is %v: want 1s to 24h", patience)
	case limit < 1 || limit > 1000:
		return nil, fmt.Errorf("outbox: limit is %d: want 1 to 1000", limit)
	}
	var names []string
	for _, query := range []string{s.sql.pendingQueues, s.sql.nackedQueues, s.sql.sentQueues, s.sql.refusedQueues} {
		found, err := s.listQueues(ctx, "list the queues of unfinished jobs", query)
		if err != nil {
			return nil, err
		}
		names = append(names, found...)
	}
	slices.Sort(names)
	var all []Balance
	for _, name := range slices.Compact(names) {
		b, err := s.balance(ctx, name, patience.Milliseconds(), limit)
		if err != nil {
			return nil, err
		}
		all = append(all, b)
	}
	return all, nil
}

func (s *Store) balance(ctx context.Context, queue string, patience int64, limit int) (Balance, error) {
	b := Balance{Queue: queue}
	counting, cancel := s.deadline(ctx)
	defer cancel()
	err := s.pool.QueryRowContext(counting, s.sql.balance, queue, patience, queue, patience, queue, queue).Scan(&b.Due, &b.Road, &b.Held, &b.Refused)
	if err != nil {
		return b, fmt.Errorf("outbox: count what queue %q has on the way: %w", queue, explain(err))
	}
	for _, look := range []struct {
		why   Suspicion
		query string
		args  []any
	}{
		{Late, s.sql.late, []any{queue, patience, limit}},
		{Adrift, s.sql.adrift, []any{queue, patience, limit}},
		{Orphaned, s.sql.orphaned, []any{queue, limit}},
		{Crashing, s.sql.crashing, []any{queue, crashingFrom, limit}},
		{Unroutable, s.sql.unroutable, []any{queue, limit}},
	} {
		err := s.each(ctx, "look for suspects", look.query, func(rows *sql.Rows) error {
			suspect := Suspect{Why: look.why}
			var since dbTime
			if err := rows.Scan(&suspect.ID, &suspect.Kind, &since, &suspect.Holder, &suspect.Starts); err != nil {
				return err
			}
			suspect.Since = since.Time
			b.Suspects = append(b.Suspects, suspect)
			return nil
		}, look.args...)
		if err != nil {
			return b, err
		}
	}
	return b, nil
}
