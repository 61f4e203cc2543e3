package outbox

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
)

// maxQueues is how many queues share one claim.
const maxQueues = 64

// claimIn claims due jobs in tx.
func (s *Store) claimIn(ctx context.Context, tx *sql.Tx, claim core.Claim) ([]ackbox.Job, error) {
	ctx, cancel := s.deadline(ctx)
	defer cancel()
	began := time.Now()
	now, paused, err := s.openClaim(ctx, tx)
	if err != nil {
		return nil, err
	}
	c := claiming{s: s, tx: tx, now: now, trip: time.Since(began), names: s.queues.turn(slices.Concat(claim.Except, paused))}
	c.rows, c.bytes = s.size.next(claim.Limit, s.cfg.MaxBatchBytes)
	began = time.Now()
	b, err := c.claim(ctx)
	if err == nil {
		err = s.fill(ctx, tx, &b, c.bytes)
	}
	switch {
	case timedOut(err):
		s.size.late(c.rows, c.bytes)
	case err == nil && len(b.jobs) > 0:
		s.queues.cameTo(b.jobs[min(len(b.jobs), b.topped)-1].Queue)
		s.size.good(c.rows, len(b.jobs), b.cut, time.Since(began) < s.cfg.StatementTimeout/quickShare)
	}
	return b.jobs, err
}

// openClaim sets what holds for a claim's transaction, and returns the database's
// time and the queues that are paused.
func (s *Store) openClaim(ctx context.Context, tx *sql.Tx) (now time.Time, paused []string, err error) {
	idle := s.cfg.WireTimeout + s.cfg.StatementTimeout
	unread := max(s.cfg.StatementTimeout, time.Second) // a shorter one ends healthy connections
	var set [7]string
	var list string
	err = tx.QueryRowContext(ctx, s.sql.claimSession,
		strconv.FormatInt(idle.Milliseconds(), 10), strconv.FormatInt(unread.Milliseconds(), 10)).
		Scan(&now, &set[0], &set[1], &set[2], &set[3], &set[4], &set[5], &set[6], &list)
	if err != nil {
		return now, nil, fmt.Errorf("outbox: bound the claim's session: %w", err)
	}
	if err := json.Unmarshal([]byte(list), &paused); err != nil {
		return now, nil, fmt.Errorf("outbox: read which queues are paused: %w", err)
	}
	return now, paused, nil
}

// claiming is one claim on PostgreSQL.
type claiming struct {
	s           *Store
	tx          *sql.Tx
	now         time.Time
	trip        time.Duration // to the server and back
	names       []string
	rows, bytes int // of the batch, at most
}

// claim looks behind the front, if the time has come, and else ahead.
func (c *claiming) claim(ctx context.Context) (batch, error) {
	f := &c.s.front
	part := f.part()
	if spans := c.s.queueSpans(c.names, f.behind); len(spans) > 0 {
		b, l := c.look(ctx, spans)
		l.part = part
		f.lookedBehind(l)
		if l.err != nil || len(b.jobs) > 0 {
			return b, l.err
		}
	}
	b, l := c.look(ctx, c.s.queueSpans(c.names, func(name string) (span, bool) { return f.ahead(name), true }))
	f.looked(l)
	if l.err != nil {
		return b, l.err
	}
	rest, rows := b.rest(c.rows), c.rows-len(b.jobs)
	if rows == 0 || len(rest) == 0 {
		return b, nil
	}
	more, err := c.take(ctx, rest, rows)
	b.jobs, b.large = append(b.jobs, more.jobs...), b.large || more.large
	return b, err
}

// look takes a batch of spans, and says what the front is to know of that.
func (c *claiming) look(ctx context.Context, spans []queueSpan) (batch, look) {
	began := time.Now()
	b, err := c.take(ctx, spans, c.rows)
	l := look{keys: c.names, now: c.now, first: make(map[string]time.Time, len(b.lots)), took: time.Since(began), err: err}
	for _, lot := range b.lots {
		l.first[b.jobs[lot.start].Queue] = lot.first
	}
	l.full = len(b.jobs) >= c.rows || len(b.lots) >= min(c.rows, maxQueues)
	l.slow = l.took >= slowLook+slowTrips*c.trip+time.Duration(len(spans))*slowQueue
	return b, l
}

const (
	// slowTrips times a bare round trip, and slowQueue for each queue, are what a
	// claim takes beside slowLook if it has read more than its batch.
	slowTrips = 4
	slowQueue = 50 * time.Microsecond
)

// take claims up to rows jobs of spans.
func (c *claiming) take(ctx context.Context, spans []queueSpan, rows int) (batch, error) {
	list, err := json.Marshal(spans)
	if err != nil {
		return batch{}, fmt.Errorf("outbox: claim: %w", err)
	}
	inline := c.bytes / c.rows
	found, err := c.tx.QueryContext(ctx, c.s.sql.claim, string(list), min(rows, maxQueues), rows, rows, inline, inline)
	return readBatch(c.now, found, err)
}
