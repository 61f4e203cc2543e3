package outbox

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"github.com/ackbox/ackbox"
)

// Finish records what became of jobs in a worker's hands and returns a verdict
// for each transition, in order. Many done jobs cost one statement. Rows that
// a dispatcher has locked, because their batch is still on the wire, are
// skipped and come back Busy: ask again in a few milliseconds.
//
// It is idempotent: after an error, whatever was recorded comes back Stale the
// next time and nothing is recorded twice. Safe for concurrent use.
func (s *Store) Finish(ctx context.Context, transitions []ackbox.Transition) ([]ackbox.Verdict, error) {
	ctx, cancel := s.deadline(ctx)
	defer cancel()
	var done, rest []ackbox.Transition
	for _, t := range transitions {
		switch {
		case !validID(t.ID): // not ours, whatever its headers claim
		case t.To == ackbox.Done:
			done = append(done, t)
		default:
			rest = append(rest, t)
		}
	}
	recorded := make(map[try]bool, len(transitions))
	if len(done) > 0 {
		ids, err := s.markDone(ctx, done)
		if err != nil {
			return nil, err
		}
		note(recorded, done, ids)
	}
	if len(rest) > 0 {
		ids, err := s.apply(ctx, s.pool, rest)
		if err != nil {
			return nil, err
		}
		note(recorded, rest, ids)
	}
	return s.verdicts(ctx, transitions, recorded)
}

// try is what guards a transition.
type try struct {
	id      string
	attempt int
}

func note(recorded map[try]bool, transitions []ackbox.Transition, ids map[string]bool) {
	for _, t := range transitions {
		if ids[t.ID] {
			recorded[try{t.ID, t.Attempt}] = true
		}
	}
}

// verdicts tells the rows that were locked from those that have moved on.
func (s *Store) verdicts(ctx context.Context, transitions []ackbox.Transition, recorded map[try]bool) ([]ackbox.Verdict, error) {
	verdicts := make([]ackbox.Verdict, len(transitions))
	var missing []string
	for i, t := range transitions {
		switch {
		case recorded[try{t.ID, t.Attempt}]:
			verdicts[i] = ackbox.Recorded
		case validID(t.ID):
			missing = append(missing, t.ID)
		}
	}
	open, err := s.open(ctx, missing)
	if err != nil {
		return nil, err
	}
	for i, t := range transitions {
		if verdicts[i] != ackbox.Recorded && !open[try{t.ID, t.Attempt}] {
			verdicts[i] = ackbox.Stale
		}
	}
	return verdicts, nil
}

// open returns which of the rows are unfinished, and at which try.
func (s *Store) open(ctx context.Context, ids []string) (map[try]bool, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	open := make(map[try]bool, len(ids))
	rows, err := s.pool.QueryContext(ctx, s.sql.stateOf, s.d.idList(ids))
	if err != nil {
		return nil, fmt.Errorf("outbox: read states: %w", err)
	}
	defer func() { _ = rows.Close() }() // its error is rows.Err's
	for rows.Next() {
		var t try
		var state ackbox.State
		if err := rows.Scan(&t.id, &t.attempt, &state); err != nil {
			return nil, fmt.Errorf("outbox: read states: %w", err)
		}
		open[t] = !state.Final()
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("outbox: read states: %w", err)
	}
	return open, nil
}

func (s *Store) markDone(ctx context.Context, transitions []ackbox.Transition) (map[string]bool, error) {
	ids := make([]string, len(transitions))
	attempts := make([]int, len(transitions))
	for i, t := range transitions {
		ids[i], attempts[i] = t.ID, t.Attempt
	}
	return readIDs(s.pool.QueryContext(ctx, s.sql.markDone, s.d.idList(ids), s.d.intList(attempts)))
}

// apply records transitions of any kind, in one statement.
func (s *Store) apply(ctx context.Context, c conn, transitions []ackbox.Transition) (map[string]bool, error) {
	type change struct {
		ID      string       `json:"id"`
		Attempt int          `json:"attempt"`
		Target  ackbox.State `json:"target"`
		AfterMS int64        `json:"after_ms"`
		Charge  bool         `json:"charge"`
		Error   string       `json:"error"`
	}
	changes := make([]change, len(transitions))
	for i, t := range transitions {
		changes[i] = change{t.ID, t.Attempt, t.To, millis(t.After), t.Charge, errorText(t.Error)}
	}
	list, err := json.Marshal(changes)
	if err != nil {
		return nil, fmt.Errorf("outbox: encode transitions: %w", err)
	}
	return readIDs(c.QueryContext(ctx, s.sql.apply, string(list)))
}

func readIDs(rows *sql.Rows, err error) (map[string]bool, error) {
	if err != nil {
		return nil, fmt.Errorf("outbox: record transitions: %w", err)
	}
	defer func() { _ = rows.Close() }() // its error is rows.Err's
	ids := make(map[string]bool)
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, fmt.Errorf("outbox: record transitions: %w", err)
		}
		ids[id] = true
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("outbox: record transitions: %w", err)
	}
	return ids, nil
}

// Current reports whether job, as it was delivered, is still the ledger's
// current copy: unfinished, at the same try and not sent again since. Workers
// ask before they run any delivery that is not a first one.
func (s *Store) Current(ctx context.Context, job ackbox.Job) (bool, error) {
	if !validID(job.ID) {
		return false, nil
	}
	ctx, cancel := s.deadline(ctx)
	defer cancel()
	var n int
	if err := s.pool.QueryRowContext(ctx, s.sql.current, job.ID, job.Attempt, job.Resend).Scan(&n); err != nil {
		return false, fmt.Errorf("outbox: ask for job %s: %w", job.ID, err)
	}
	return n == 1, nil
}

// Vouch records that the jobs with these ids are in a worker's hands right
// now, so that the sweep does not take them for lost. Ids without an
// unfinished sent row are passed over.
func (s *Store) Vouch(ctx context.Context, ids []string) error {
	valid := make([]string, 0, len(ids))
	for _, id := range ids {
		if validID(id) {
			valid = append(valid, id)
		}
	}
	if len(valid) == 0 {
		return nil
	}
	_, err := s.exec(ctx, "vouch", s.sql.vouch, s.d.idList(valid))
	return err
}

// finishIn completes the job of ctx's handler within the handler's transaction.
func (s *Store) finishIn(ctx context.Context, c execer) error {
	run, err := jobOf(ctx)
	if err != nil {
		return err
	}
	if !validID(run.Job.ID) {
		return ackbox.ErrSuperseded
	}
	ctx, cancel := s.deadline(ctx)
	defer cancel()
	query, args := s.sql.complete, []any{run.Job.ID, run.Job.Attempt}
	if run.Cause != nil {
		cause := errorText(run.Cause.Error())
		query, args = s.sql.giveUp, []any{cause, cause, run.Job.ID, run.Job.Attempt}
	}
	n, err := affected(c.ExecContext(ctx, query, args...))
	switch {
	case err != nil:
		return fmt.Errorf("outbox: complete job %s: %w", run.Job.ID, err)
	case n == 0:
		return ackbox.ErrSuperseded
	}
	return nil
}
