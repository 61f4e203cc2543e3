package outbox

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/internal/failpoint"
)

// MaxBatch is the most jobs that one call of [Store.Relay] may claim, whose
// payloads are in memory together, and the most rows that one call of a sweep
// may change.
const MaxBatch = 10_000

// Relay claims up to claim.Limit due jobs, 1 to [MaxBatch], calls publish with them,
// and records the transitions that publish returns, one per job in the same
// order. It returns the number of jobs claimed; with none, publish is not
// called. A batch has no more payload than Config.MaxBatchBytes allows.
//
// The rows stay locked in one short transaction while the batch is on the
// wire, so two dispatchers never hold the same job, and a dispatcher that dies
// leaves nothing behind: PostgreSQL releases the rows, still pending. The same
// holds if publish panics. A transition to Pending leaves its job publishable
// and counts as another copy; the zero Transition leaves its job as it is, and
// nothing is written. A transition that is not for the job at its place is an
// error: it is left out, the others are recorded.
//
// Each queue with due jobs, up to 64 of them, has the same share of a batch, and
// what is left goes to those that have more; the queues take turns in being among
// them and in being first. Messages without a queue share as if they were one.
// Jobs of a queue that claim.Except lists are passed over at no cost. The jobs of
// one queue come in the order of their due times; there is no order between queues.
//
// On PostgreSQL a queue that Config.Queues does not name is found within a
// second or so of its first job. A claim that met its deadline is halved, down to
// one job, and grows again. While claims are slow, because a transaction that
// has been open for long keeps finished rows from being vacuumed, a job that is
// committed more than 10 s after its due time may have to wait, for half a minute
// or for as long as it takes to read what lies before it in a twentieth of the
// time; the others do not.
//
// Cancelling ctx stops the claim. Once jobs are claimed they are published and
// recorded all the same, within Config.WireTimeout and Config.StatementTimeout;
// publish gets a context with that deadline and must return when it ends.
// Relay is safe for concurrent use. On SQLite, concurrent calls take turns,
// since nothing can be locked there while a batch is on the wire.
func (s *Store) Relay(ctx context.Context, claim core.Claim, publish func(context.Context, []ackbox.Job) []core.Transition) (n int, err error) {
	began := time.Now()
	defer func() {
		s.pool.clean(ctx, began, err) // when the connection is back in the pool
		err = explain(err)
	}()
	if err := checkLimit(claim.Limit); err != nil {
		return 0, err
	}
	ledger, err := s.Identity(ctx)
	if err != nil {
		return 0, err
	}
	if !s.d.schemas {
		return s.relayUnlocked(ctx, claim, ledger, publish)
	}
	if err := s.seek(ctx); err != nil {
		return 0, err
	}
	conn, err := s.connection(ctx)
	if err != nil {
		return 0, fmt.Errorf("outbox: claim: %w", err)
	}
	defer func() { _ = conn.Close() }() // it only goes back to the pool
	work := context.WithoutCancel(ctx)
	// The transaction must not be bound to ctx: database/sql rolls back at
	// once when a transaction's context ends.
	bounded, cancel := context.WithTimeout(work, 2*s.cfg.StatementTimeout+s.cfg.WireTimeout)
	defer cancel()
	tx, err := conn.BeginTx(bounded, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
	if err != nil {
		return 0, fmt.Errorf("outbox: claim: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // after Commit it does nothing

	jobs, err := s.claimIn(ctx, tx, claim)
	if err != nil || len(jobs) == 0 {
		return 0, err
	}
	sign(ledger, jobs)
	failpoint.Hit(failpoint.Claimed)
	s.wire.claimed(jobs)
	defer s.wire.forget(jobs)
	batch, misplaced := matching(jobs, s.onWire(work, jobs, publish))
	failpoint.Hit(failpoint.Published)
	s.wire.settle(batch)
	if err := s.settleIn(work, tx, batch); err != nil {
		return len(jobs), err
	}
	failpoint.Hit(failpoint.Settled)
	if err := tx.Commit(); err != nil {
		return len(jobs), fmt.Errorf("outbox: commit the batch: %w", err)
	}
	failpoint.Hit(failpoint.Committed)
	s.tally.relayed(s.clock.now(), batch)
	if s.wire.committed(batch) {
		signal(s.released)
	}
	return len(jobs), misplaced
}

// checkLimit refuses what a database would take as no limit at all.
func checkLimit(limit int) error {
	if limit < 1 || limit > MaxBatch {
		return fmt.Errorf("outbox: limit is %d: want 1 to %d", limit, MaxBatch)
	}
	return nil
}

// connection waits for a connection of the pool no longer than for a statement.
func (s *Store) connection(ctx context.Context) (*sql.Conn, error) {
	ctx, cancel := s.deadline(ctx)
	defer cancel()
	return s.pool.Conn(ctx)
}

// settlement is what is to be recorded for a claimed job.
type settlement struct {
	job *ackbox.Job
	to  core.Transition
}

// matching pairs claimed jobs with their transitions. What does not belong to
// the job at its place could change a row that nobody has locked.
func matching(jobs []ackbox.Job, transitions []core.Transition) ([]settlement, error) {
	batch := make([]settlement, 0, len(jobs))
	left := 0
	for i, t := range transitions {
		switch {
		case i >= len(jobs):
		case t == core.Transition{}:
			left++
		case t.ID == jobs[i].ID && t.Attempt == jobs[i].Attempt && t.To.Valid():
			batch = append(batch, settlement{&jobs[i], t})
		}
	}
	if len(batch)+left != len(jobs) || len(transitions) != len(jobs) {
		return batch, fmt.Errorf("outbox: publish returned %d transitions for %d jobs, of which %d are valid and in their job's place: the other jobs stay pending",
			len(transitions), len(jobs), len(batch)+left)
	}
	return batch, nil
}

func (s *Store) onWire(ctx context.Context, jobs []ackbox.Job, publish func(context.Context, []ackbox.Job) []core.Transition) []core.Transition {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.WireTimeout)
	defer cancel()
	return publish(ctx, jobs)
}

// settleIn records a batch through c, which holds the rows' locks.
func (s *Store) settleIn(ctx context.Context, c conn, batch []settlement) error {
	ctx, cancel := s.deadline(ctx)
	defer cancel()
	sent := make([]*ackbox.Job, 0, len(batch))
	var done []*ackbox.Job
	var rest []change
	for i := range batch {
		b := &batch[i]
		switch {
		case b.to.To == ackbox.Sent:
			sent = append(sent, b.job)
		case b.to.To == ackbox.Done && b.to.Error == "":
			done = append(done, b.job)
		default:
			change := changeOf(b.to)
			change.Resend = &b.job.Resend
			rest = append(rest, change)
		}
	}
	if len(sent) > 0 {
		if _, err := c.ExecContext(ctx, s.sql.markSent, s.d.batchList(sent)); err != nil {
			return fmt.Errorf("outbox: mark %d jobs sent: %w", len(sent), err)
		}
	}
	if len(done) > 0 {
		if _, err := c.ExecContext(ctx, s.sql.markBatchDone, s.d.batchList(done)); err != nil {
			return fmt.Errorf("outbox: mark %d jobs done: %w", len(done), err)
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
func (s *Store) relayUnlocked(ctx context.Context, claim core.Claim, ledger string, publish func(context.Context, []ackbox.Job) []core.Transition) (int, error) {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return 0, fmt.Errorf("outbox: claim: wait for the batch before: %w", ctx.Err())
	}
	jobs, err := s.claimUnlocked(ctx, claim)
	if err != nil || len(jobs) == 0 {
		return 0, err
	}
	work := context.WithoutCancel(ctx)
	batch, misplaced := matching(jobs, s.onWire(work, sign(ledger, jobs), publish))
	if err := s.settleIn(work, s.pool, batch); err != nil {
		return len(jobs), err
	}
	s.tally.relayed(s.clock.now(), batch)
	return len(jobs), misplaced
}

func (s *Store) claimUnlocked(ctx context.Context, claim core.Claim) ([]ackbox.Job, error) {
	ctx, cancel := s.deadline(ctx)
	defer cancel()
	inline := s.cfg.MaxBatchBytes / claim.Limit
	except := s.d.idList(append([]string{}, claim.Except...)) // a list in any case
	found, err := s.pool.QueryContext(ctx, s.sql.claim, except, claim.Limit, inline, inline)
	b, err := readBatch(time.Now(), found, err)
	if err == nil {
		err = s.fill(ctx, s.pool, &b, s.cfg.MaxBatchBytes)
	}
	return b.jobs, err
}
