package outbox

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
)

// rowsPerStatement bounds the rows, and so the memory and the locks, of one
// statement that is given ids.
const rowsPerStatement = 1000

// Finish records what became of jobs in a worker's hands and returns a verdict
// for each transition, in order. Many done jobs cost one statement. Rows that
// a dispatcher has locked, because their batch is still on the wire, are
// skipped and come back Busy: ask again in a few milliseconds. Of several
// transitions of one try the first Done counts, or else the first.
//
// An id that no row has, or that is none, comes back Missing and disturbs no
// other transition. A To that is no [ackbox.State] is an error, before
// anything is recorded. On any other error some of the transitions may have
// been recorded; ask again with all of them: what was recorded comes back
// Stale. Only an uncharged transition to Pending is recorded again, as one
// more copy, which does no harm. Its Error becomes the row's last error but is
// left out of the list of errors, which is kept for tries and refusals.
//
// Finish is bounded by Config.StatementTimeout for each thousand transitions
// and safe for concurrent use.
func (s *Store) Finish(ctx context.Context, transitions []core.Transition) ([]core.Verdict, error) {
	for _, t := range transitions {
		if !t.To.Valid() {
			return nil, fmt.Errorf("outbox: transition of job %q: To is %q: want one of %q", t.ID, t.To, ackbox.States())
		}
	}
	verdicts := make([]core.Verdict, 0, len(transitions))
	for some := range slices.Chunk(transitions, rowsPerStatement) {
		v, err := s.finishSome(ctx, some)
		if err != nil {
			return nil, err
		}
		verdicts = append(verdicts, v...)
	}
	return verdicts, nil
}

func (s *Store) finishSome(ctx context.Context, transitions []core.Transition) ([]core.Verdict, error) {
	verdicts := make([]core.Verdict, len(transitions))
	others := s.wire.report(transitions, verdicts)
	if len(others) == 0 {
		return verdicts, nil
	}
	asked := make([]core.Transition, len(others))
	for n, i := range others {
		asked[n] = transitions[i]
	}
	answers, err := s.ask(ctx, asked)
	if err != nil {
		return nil, err
	}
	for n, i := range others {
		verdicts[i] = answers[n]
	}
	return verdicts, nil
}

// ask records transitions in the table.
func (s *Store) ask(ctx context.Context, transitions []core.Transition) ([]core.Verdict, error) {
	ctx, cancel := s.deadline(ctx)
	defer cancel()
	done, rest := split(transitions)
	recorded := make(map[try]ackbox.State, len(done)+len(rest))
	if len(done) > 0 {
		ids, err := s.markDone(ctx, done)
		if err != nil {
			return nil, err
		}
		note(recorded, done, ids)
	}
	if len(rest) > 0 {
		changes := make([]change, len(rest))
		for i, t := range rest {
			changes[i] = changeOf(t)
		}
		ids, err := s.apply(ctx, s.pool, changes)
		if err != nil {
			return nil, err
		}
		note(recorded, rest, ids)
	}
	return s.verdicts(ctx, transitions, recorded)
}

// split picks the transitions that are worth a statement: one for each id, so
// that what a statement did is known by the ids it returns.
func split(transitions []core.Transition) (done, rest []core.Transition) {
	taken := make(map[string]bool, len(transitions))
	for _, t := range transitions {
		if t.To != ackbox.Done || !possible(t) || taken[t.ID] {
			continue
		}
		taken[t.ID] = true
		if t.Error == "" {
			done = append(done, t)
		} else { // the quick statement keeps no errors
			rest = append(rest, t)
		}
	}
	for _, t := range transitions {
		if t.To != ackbox.Done && possible(t) && !taken[t.ID] {
			taken[t.ID] = true
			rest = append(rest, t)
		}
	}
	return done, rest
}

// possible reports whether a row with the transition's id and attempt can
// exist. Both come from a message's headers, which anybody can write: they
// must not be able to fail a statement that serves their neighbours.
func possible(t core.Transition) bool { return validID(t.ID) && validCount(t.Attempt) }

// validCount reports whether the table's integers can hold n.
func validCount(n int) bool { return n >= 0 && n <= math.MaxInt32 }

// reachable reports whether an unfinished row can go from one state to another.
func reachable(from, to ackbox.State) bool {
	switch to {
	case ackbox.Pending, ackbox.Done, ackbox.Dead:
		return true
	case ackbox.Sent, ackbox.Nacked:
		return from == ackbox.Pending
	case ackbox.Cancelled:
		return from == ackbox.Pending || from == ackbox.Nacked
	}
	return false
}

// try is what guards a transition.
type try struct {
	id      string
	attempt int
}

func note(recorded map[try]ackbox.State, transitions []core.Transition, ids map[string]bool) {
	for _, t := range transitions {
		if ids[t.ID] {
			recorded[try{t.ID, t.Attempt}] = t.To
		}
	}
}

// verdicts tells the rows that were locked from those that have moved on.
func (s *Store) verdicts(ctx context.Context, transitions []core.Transition, recorded map[try]ackbox.State) ([]core.Verdict, error) {
	verdicts := make([]core.Verdict, len(transitions))
	told := make(map[try]bool, len(recorded))
	var missing []string
	for i, t := range transitions {
		key := try{t.ID, t.Attempt}
		to, ok := recorded[key]
		switch {
		case ok && to == t.To && !told[key]:
			told[key] = true
			verdicts[i] = core.Recorded
		case ok:
			verdicts[i] = core.Stale
		case !validID(t.ID):
			verdicts[i] = core.Missing
		default:
			missing = append(missing, t.ID)
		}
	}
	rows, err := s.standings(ctx, missing)
	if err != nil {
		return nil, err
	}
	for i, t := range transitions {
		if verdicts[i] != core.Busy {
			continue
		}
		switch row, ok := rows[t.ID]; {
		case !ok:
			verdicts[i] = core.Missing
		case !row.open || row.attempt != t.Attempt || !reachable(row.state, t.To):
			verdicts[i] = core.Stale
		}
	}
	return verdicts, nil
}

// standing is where a row is.
type standing struct {
	attempt int
	state   ackbox.State
	open    bool // unfinished
}

// standings returns where the rows with these ids are.
func (s *Store) standings(ctx context.Context, ids []string) (map[string]standing, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	all := make(map[string]standing, len(ids))
	rows, err := s.pool.QueryContext(ctx, s.sql.stateOf, s.d.idList(ids))
	if err != nil {
		return nil, fmt.Errorf("outbox: read states: %w", err)
	}
	defer func() { _ = rows.Close() }() // its error is rows.Err's
	for rows.Next() {
		var id string
		var row standing
		if err := rows.Scan(&id, &row.attempt, &row.state, &row.open); err != nil {
			return nil, fmt.Errorf("outbox: read states: %w", err)
		}
		all[id] = row
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("outbox: read states: %w", err)
	}
	return all, nil
}

func (s *Store) markDone(ctx context.Context, transitions []core.Transition) (map[string]bool, error) {
	return readIDs(s.pool.QueryContext(ctx, s.sql.markDone, s.d.tries(transitions)...))
}

// change is a transition as the statement apply reads it.
type change struct {
	ID      string `json:"id"`
	Attempt int    `json:"attempt"`
	// Resend, if set, guards the change too: only that copy is meant.
	Resend  *int         `json:"resend,omitempty"`
	Target  ackbox.State `json:"target,omitempty"`
	AfterMS int64        `json:"after_ms"`
	Charge  bool         `json:"charge"`
	Error   string       `json:"error"`
}

func changeOf(t core.Transition) change {
	return change{
		ID: t.ID, Attempt: t.Attempt, Target: t.To, AfterMS: millis(t.After),
		Charge: t.Charge && t.To == ackbox.Pending, Error: errorText(t.Error),
	}
}

// apply records changes of any kind, one for each id, in one statement. It
// returns the ids of the rows that changed.
func (s *Store) apply(ctx context.Context, c conn, changes []change) (map[string]bool, error) {
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

// Current answers [core.Started] if job, as it was delivered, is still the
// ledger's current copy: unfinished, at the same try and not sent again since. Else
// it answers Stale or, where the ledger has no row of that id, Missing. Workers ask
// before they run any delivery that is not a first one.
func (s *Store) Current(ctx context.Context, job ackbox.Job) (core.Verdict, error) {
	if !validID(job.ID) {
		return core.Missing, nil
	}
	ctx, cancel := s.deadline(ctx)
	defer cancel()
	var row standing
	var resend int
	err := s.pool.QueryRowContext(ctx, s.sql.current, job.ID).Scan(&row.attempt, &resend, &row.open)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return core.Missing, nil
	case err != nil:
		return 0, fmt.Errorf("outbox: ask for job %s: %w", job.ID, err)
	case row.open && row.attempt == job.Attempt && resend == job.Resend:
		return core.Started, nil
	}
	return core.Stale, nil
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
	for some := range slices.Chunk(valid, rowsPerStatement) {
		if _, err := s.exec(ctx, "vouch", s.sql.vouch, s.d.idList(some)); err != nil {
			return err
		}
	}
	return nil
}
