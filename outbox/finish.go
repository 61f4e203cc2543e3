package outbox

import (
	"context"
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
// Stale. The Error of an uncharged transition to Pending becomes the row's last error
// while the history has what was charged, refused or put off by its handler.
//
// A transition of a worker to anything but Done is Stale while another instance, which
// is alive, runs the job. An uncharged one to Pending is Stale, too, if it speaks of
// another copy than the newest, unless Holder has the job on record: then it speaks for
// the job. A worker's transition to Pending takes the job out of whatever hands it is in
// on record, and out of the count of starts, see [core.Transition]; what is finished
// keeps its last holder.
//
// Finish is bounded by Config.StatementTimeout for each thousand transitions
// and safe for concurrent use.
func (s *Store) Finish(ctx context.Context, transitions []core.Transition) ([]core.Verdict, error) {
	for _, t := range transitions {
		if t.Holder != "" && !validID(t.Holder) {
			return nil, fmt.Errorf("outbox: transition of job %q: %w", t.ID, checkHolder(t.Holder))
		}
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
			if ofCopy(t) {
				changes[i].Resend = &rest[i].Resend
			}
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
func possible(t core.Transition) bool {
	return validID(t.ID) && validCount(t.Attempt) && (!ofCopy(t) || validCount(t.Resend))
}

// ofCopy reports whether a transition is about one copy of a try, and not about the try.
func ofCopy(t core.Transition) bool { return t.To == ackbox.Pending && !t.Charge }

// validCount reports whether the table's integers can hold n.
func validCount(n int) bool { return n >= 0 && n <= math.MaxInt32 }

// reachable reports whether an unfinished row can go from one state to another.
func reachable(from, to ackbox.State) bool {
	switch to {
	case ackbox.Pending, ackbox.Done, ackbox.Dead:
		return true
	case ackbox.Sent, ackbox.Nacked, ackbox.Refused:
		return from == ackbox.Pending
	case ackbox.Cancelled:
		return from == ackbox.Pending || from == ackbox.Nacked
	}
	return false
}

func (s *Store) markDone(ctx context.Context, transitions []core.Transition) (map[string]bool, error) {
	return readIDs(s.pool.QueryContext(ctx, s.sql.markDone, s.d.tries(transitions)...))
}
