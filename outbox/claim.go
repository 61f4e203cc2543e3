package outbox

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/ackbox/ackbox"
)

// claimIn claims up to limit due jobs in tx.
func (s *Store) claimIn(ctx context.Context, tx *sql.Tx, limit int) ([]ackbox.Job, error) {
	ctx, cancel := s.deadline(ctx)
	defer cancel()
	// A frozen process must not keep rows locked: the server ends the session.
	idle := s.cfg.WireTimeout + s.cfg.StatementTimeout
	began := time.Now()
	if _, err := tx.ExecContext(ctx, s.sql.claimSession, strconv.FormatInt(idle.Milliseconds(), 10)); err != nil {
		return nil, fmt.Errorf("outbox: bound the claim's session: %w", err)
	}
	if from, ok := s.front.get(); ok {
		return readJobs(tx.QueryContext(ctx, s.sql.claimFrom, from, limit))
	}
	trip := time.Since(began)
	began = time.Now()
	jobs, err := readJobs(tx.QueryContext(ctx, s.sql.claim, limit))
	took := time.Since(began)
	if err == nil && s.front.whole(took >= slowClaim+slowTrips*trip) {
		err = s.findFront(ctx, tx, jobs, took)
	}
	return jobs, err
}

const (
	// slowClaim and so many times the time of a bare round trip is what a claim
	// takes at least that has read more than its batch. One of 512 rows takes a
	// millisecond or two.
	slowClaim = 5 * time.Millisecond
	slowTrips = 4
	// slowClaims is how many of them in a row are no accident.
	slowClaims = 5
	// frontMargin is how far before the first pending row short claims begin. Jobs
	// of transactions that took no longer than that are seen by them.
	frontMargin = 10 * time.Second
	// Whole claims take a twentieth of the time, and are no further apart than
	// maxFront.
	minFront, maxFront = time.Second, 30 * time.Second
	wholeShare         = 20
)

// front is where pending rows begin. Rows that have left that state stay in its
// index until they are vacuumed, which no row is that a transaction still open
// might see: a report that runs for an hour leaves all jobs of that hour there.
// A claim reads the index from its front, so each would read all of those again.
//
// So after some slow claims the next ones begin shortly before the row that it found
// first. Older rows may turn up behind them, of long transactions or sweeps; the
// next whole claim finds these. Safe for concurrent use.
type front struct {
	mu    sync.Mutex
	from  time.Time // the database's time
	until time.Time // when a claim has to be whole again
	slow  int       // whole claims in a row that were
}

// get returns the due time from which a claim has to look, if it need not look at
// all.
func (f *front) get() (from time.Time, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.from, time.Now().Before(f.until)
}

// whole notes how a whole claim was, and reports whether claims are to be
// shortened.
func (f *front) whole(slow bool) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !slow {
		f.slow = 0
		return false
	}
	f.slow++
	return f.slow >= slowClaims
}

// set notes what a whole claim has found out that took that long.
func (f *front) set(from time.Time, took time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.from = from
	f.until = time.Now().Add(min(max(minFront, wholeShare*took), maxFront))
}

// findFront notes where the jobs begin that a whole claim has found; jobs may be
// empty.
func (s *Store) findFront(ctx context.Context, tx *sql.Tx, jobs []ackbox.Job, took time.Duration) error {
	var first any
	if len(jobs) > 0 {
		first = jobs[0].ID
	}
	var from time.Time
	if err := tx.QueryRowContext(ctx, s.sql.firstDue, first).Scan(&from); err != nil {
		return fmt.Errorf("outbox: claim: find the front: %w", err)
	}
	s.front.set(from.Add(-frontMargin), took)
	return nil
}

func readJobs(rows *sql.Rows, err error) ([]ackbox.Job, error) {
	if err != nil {
		return nil, fmt.Errorf("outbox: claim: %w", err)
	}
	defer func() { _ = rows.Close() }() // its error is rows.Err's
	var jobs []ackbox.Job
	var r row
	fields := r.jobFields()
	for rows.Next() {
		r = row{}
		if err := rows.Scan(fields...); err != nil {
			return nil, fmt.Errorf("outbox: claim: %w", err)
		}
		jobs = append(jobs, r.asJob())
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("outbox: claim: %w", err)
	}
	return jobs, nil
}
