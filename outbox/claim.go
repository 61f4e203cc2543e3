package outbox

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/ackbox/ackbox"
)

// maxQueues is how many queues share one claim.
const maxQueues = 64

// claimIn claims due jobs in tx.
func (s *Store) claimIn(ctx context.Context, tx *sql.Tx, claim ackbox.Claim) ([]ackbox.Job, error) {
	ctx, cancel := s.deadline(ctx)
	defer cancel()
	began := time.Now()
	now, err := s.openClaim(ctx, tx)
	if err != nil {
		return nil, err
	}
	c := claiming{s: s, tx: tx, now: now, trip: time.Since(began), names: s.queues.turn(claim.Except)}
	c.rows, c.bytes = s.size.next(claim.Limit, s.cfg.MaxBatchBytes)
	began = time.Now()
	jobs, cut, err := c.claim(ctx)
	switch took := time.Since(began); {
	case timedOut(err):
		s.size.late(c.rows, c.bytes)
	case err == nil:
		s.size.good(c.rows, c.bytes, len(jobs), cut, quick(took, s.cfg.StatementTimeout))
	}
	return jobs, err
}

// openClaim sets what holds for a claim's transaction, and returns the database's
// time.
func (s *Store) openClaim(ctx context.Context, tx *sql.Tx) (now time.Time, err error) {
	idle := s.cfg.WireTimeout + s.cfg.StatementTimeout
	unread := max(s.cfg.StatementTimeout, time.Second) // a shorter one ends healthy connections
	var set [4]string
	err = tx.QueryRowContext(ctx, s.sql.claimSession,
		strconv.FormatInt(idle.Milliseconds(), 10), strconv.FormatInt(unread.Milliseconds(), 10)).
		Scan(&now, &set[0], &set[1], &set[2], &set[3])
	if err != nil {
		return now, fmt.Errorf("outbox: bound the claim's session: %w", err)
	}
	return now, nil
}

// claiming is one claim on PostgreSQL.
type claiming struct {
	s           *Store
	tx          *sql.Tx
	now         time.Time
	trip        time.Duration // to the server and back
	names       []string
	rows, bytes int
}

// claim looks behind the front, if the time has come, and else ahead. It reports
// whether the batch was cut off by its bytes.
func (c *claiming) claim(ctx context.Context) ([]ackbox.Job, bool, error) {
	f := &c.s.front
	if spans := c.s.queueSpans(c.names, f.behind); len(spans) > 0 {
		b, l, err := c.look(ctx, spans)
		f.lookedBehind(l)
		if err != nil || len(b.jobs) > 0 {
			return b.jobs, b.bytes >= c.bytes, err
		}
	}
	b, l, err := c.look(ctx, c.s.queueSpans(c.names, func(name string) (span, bool) { return f.ahead(name), true }))
	f.looked(l)
	if err != nil || len(b.jobs) == 0 {
		return nil, false, err
	}
	c.s.queues.cameTo(b.jobs[len(b.jobs)-1].Queue)
	rows, bytes := c.rows-len(b.jobs), c.bytes-b.bytes
	if rest := b.rest(); rows > 0 && bytes > 0 && len(rest) > 0 {
		more, err := c.take(ctx, rest, rows, bytes)
		if err != nil {
			return nil, false, err
		}
		b.jobs, b.bytes = append(b.jobs, more.jobs...), b.bytes+more.bytes
	}
	return b.jobs, b.bytes >= c.bytes, nil
}

// look takes a batch of spans, and says what the front is to know of that.
func (c *claiming) look(ctx context.Context, spans []queueSpan) (batch, look, error) {
	began := time.Now()
	b, err := c.take(ctx, spans, c.rows, c.bytes)
	l := look{keys: c.names, now: c.now, first: make(map[string]time.Time, len(b.lots)), took: time.Since(began), err: err}
	for _, lot := range b.lots {
		l.first[b.jobs[lot.start].Queue] = lot.first
	}
	l.full = len(b.jobs) >= c.rows || b.bytes >= c.bytes || len(b.lots) >= min(c.rows, maxQueues)
	l.slow = l.took >= slowLook+slowTrips*c.trip+time.Duration(len(spans))*slowQueue
	return b, l, err
}

const (
	// slowTrips times a bare round trip, and slowQueue for each queue, are what a
	// claim takes beside slowLook if it has read more than its batch.
	slowTrips = 4
	slowQueue = 50 * time.Microsecond
)

// batch are the jobs of one statement, and how many of each queue.
type batch struct {
	jobs  []ackbox.Job
	lots  []lot
	bytes int
}

// lot are jobs of one queue in a batch.
type lot struct {
	start, n, share int
	first, last     time.Time // due times
}

// rest are the parts behind those queues that gave all they were asked for.
func (b *batch) rest() []queueSpan {
	var rest []queueSpan
	for _, l := range b.lots {
		if len(b.lots) > 1 && l.n == l.share {
			rest = append(rest, behindJob(&b.jobs[l.start+l.n-1], l.last))
		}
	}
	return rest
}

// take claims up to rows jobs of spans, and no more once they have so many bytes.
func (c *claiming) take(ctx context.Context, spans []queueSpan, rows, bytes int) (batch, error) {
	list, err := json.Marshal(spans)
	if err != nil {
		return batch{}, fmt.Errorf("outbox: claim: %w", err)
	}
	return readBatch(c.tx.QueryContext(ctx, c.s.sql.claim, string(list), min(rows, maxQueues), rows, rows, bytes))
}

func readBatch(rows *sql.Rows, err error) (batch, error) {
	if err != nil {
		return batch{}, fmt.Errorf("outbox: claim: %w", err)
	}
	defer func() { _ = rows.Close() }() // its error is rows.Err's
	var b batch
	var r row
	var share, total int
	fields := append(r.jobFields(), &r.due, &share, &total)
	for rows.Next() {
		r = row{}
		if err := rows.Scan(fields...); err != nil {
			return batch{}, fmt.Errorf("outbox: claim: %w", err)
		}
		if n := len(b.jobs); n == 0 || b.jobs[n-1].Queue != r.job.Queue {
			b.lots = append(b.lots, lot{start: n, share: share, first: r.due.Time})
		}
		l := &b.lots[len(b.lots)-1]
		l.n++
		l.last = r.due.Time
		b.bytes = total
		b.jobs = append(b.jobs, r.asJob())
	}
	if err := rows.Err(); err != nil {
		return batch{}, fmt.Errorf("outbox: claim: %w", err)
	}
	return b, nil
}
