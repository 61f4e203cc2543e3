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

// Relay claims up to limit due jobs, calls publish with them, and records the
// transitions that publish returns, one per job in the same order. It returns
// the number of jobs claimed; with none, publish is not called.
//
// The rows stay locked in one short transaction while the batch is on the
// wire, so two dispatchers never hold the same job, and a dispatcher that dies
// leaves nothing behind: PostgreSQL releases the rows, still pending. A
// transition to Pending leaves its job publishable and counts as another copy.
//
// Cancelling ctx stops the claim. Once jobs are claimed they are published and
// recorded all the same, within Config.WireTimeout and Config.StatementTimeout;
// publish gets a context with that deadline. Relay is safe for concurrent use.
// On SQLite, concurrent calls take turns, since nothing can be locked there
// while a batch is on the wire.
func (s *Store) Relay(ctx context.Context, limit int, publish func(context.Context, []ackbox.Job) []ackbox.Transition) (int, error) {
	if !s.d.schemas {
		return s.relayUnlocked(ctx, limit, publish)
	}
	work := context.WithoutCancel(ctx)
	// The transaction must not be bound to ctx: database/sql rolls back at
	// once when a transaction's context ends.
	bounded, cancel := context.WithTimeout(work, 2*s.cfg.StatementTimeout+s.cfg.WireTimeout)
	defer cancel()
	tx, err := s.pool.BeginTx(bounded, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
	if err != nil {
		return 0, fmt.Errorf("outbox: claim: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // after Commit it does nothing

	jobs, err := s.claimIn(ctx, tx, limit)
	if err != nil || len(jobs) == 0 {
		return 0, err
	}
	transitions := s.onWire(work, jobs, publish)
	if err := s.settleIn(work, tx, transitions); err != nil {
		return len(jobs), err
	}
	if err := tx.Commit(); err != nil {
		return len(jobs), fmt.Errorf("outbox: commit the batch: %w", err)
	}
	return len(jobs), nil
}

func (s *Store) claimIn(ctx context.Context, tx *sql.Tx, limit int) ([]ackbox.Job, error) {
	ctx, cancel := s.deadline(ctx)
	defer cancel()
	// A frozen process must not keep rows locked: the server ends the session.
	idle := s.cfg.WireTimeout + s.cfg.StatementTimeout
	if _, err := tx.ExecContext(ctx, s.sql.sessionBound, strconv.FormatInt(idle.Milliseconds(), 10)); err != nil {
		return nil, fmt.Errorf("outbox: bound the claim's session: %w", err)
	}
	return readJobs(tx.QueryContext(ctx, s.sql.claim, limit))
}

func (s *Store) onWire(ctx context.Context, jobs []ackbox.Job, publish func(context.Context, []ackbox.Job) []ackbox.Transition) []ackbox.Transition {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.WireTimeout)
	defer cancel()
	return publish(ctx, jobs)
}

// conn is what *sql.DB and *sql.Tx have in common here.
type conn interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// settleIn records a batch through c, which holds the rows' locks.
func (s *Store) settleIn(ctx context.Context, c conn, transitions []ackbox.Transition) error {
	ctx, cancel := s.deadline(ctx)
	defer cancel()
	var sent []string
	var rest []ackbox.Transition
	for _, t := range transitions {
		if t.To == ackbox.Sent {
			sent = append(sent, t.ID)
		} else {
			rest = append(rest, t)
		}
	}
	if len(sent) > 0 {
		if _, err := c.ExecContext(ctx, s.sql.markSent, s.d.idList(sent)); err != nil {
			return fmt.Errorf("outbox: mark %d jobs sent: %w", len(sent), err)
		}
	}
	if len(rest) > 0 {
		if _, err := s.apply(ctx, c, rest); err != nil {
			return err
		}
	}
	return nil
}

// relayUnlocked is Relay for a database that has no row locks: one batch of
// this process at a time, and no transaction open while it is on the wire.
func (s *Store) relayUnlocked(ctx context.Context, limit int, publish func(context.Context, []ackbox.Job) []ackbox.Transition) (int, error) {
	s.turns.Lock()
	defer s.turns.Unlock()
	jobs, err := s.claimUnlocked(ctx, limit)
	if err != nil || len(jobs) == 0 {
		return 0, err
	}
	work := context.WithoutCancel(ctx)
	transitions := s.onWire(work, jobs, publish)
	return len(jobs), s.settleIn(work, s.pool, transitions)
}

func (s *Store) claimUnlocked(ctx context.Context, limit int) ([]ackbox.Job, error) {
	ctx, cancel := s.deadline(ctx)
	defer cancel()
	return readJobs(s.pool.QueryContext(ctx, s.sql.claim, limit))
}

func readJobs(rows *sql.Rows, err error) ([]ackbox.Job, error) {
	if err != nil {
		return nil, fmt.Errorf("outbox: claim: %w", err)
	}
	defer func() { _ = rows.Close() }() // its error is rows.Err's
	var jobs []ackbox.Job
	for rows.Next() {
		var r row
		if err := rows.Scan(r.jobFields()...); err != nil {
			return nil, fmt.Errorf("outbox: claim: %w", err)
		}
		jobs = append(jobs, r.asJob())
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("outbox: claim: %w", err)
	}
	return jobs, nil
}

// row is a row of the jobs table as it is scanned.
type row struct {
	job                ackbox.Job
	headers            []byte
	created, due       dbTime
	sent, finished     dbTime
	state              string
	lastError, failure sql.NullString
}

func (r *row) jobFields() []any {
	j := &r.job
	return []any{
		&j.ID, &j.Kind, &j.Queue, &j.Exchange, &j.RoutingKey, &j.Mandatory, &j.Payload, &r.headers,
		&j.Attempt, &j.MaxAttempts, &j.Resend, &j.PublishAttempt, &r.created,
	}
}

func (r *row) asJob() ackbox.Job {
	r.job.CreatedAt = r.created.Time
	r.job.Ledger = r.job.Queue != ""
	if len(r.headers) > 0 {
		// The column is written by Enqueue only. Headers that a hand-made row
		// spelt otherwise are left out rather than stopping the whole batch.
		_ = json.Unmarshal(r.headers, &r.job.Headers)
	}
	return r.job
}

// millis is how durations go into statements.
func millis(d time.Duration) int64 { return max(0, d.Milliseconds()) }
