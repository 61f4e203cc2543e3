package outbox

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/ackbox/ackbox"
)

// ErrEmptyFilter is returned for an operation of all jobs that was not asked for by name.
var ErrEmptyFilter = errors.New("outbox: the filter is empty, which means every job: say so with Filter.All")

const (
	// stepLook is how many rows one step of an operation looks at, stepChange how many it
	// changes at most.
	stepLook   = 10_000
	stepChange = 500
	// samples is how many jobs a rehearsal shows.
	samples = 10
)

// Rehearse says what [Store.StartOperation] would do with the same action and filter, and
// changes nothing. It refuses what that refuses. It looks at 10,000 rows at most in each
// part of the table that the operation would walk: there may be more than it has counted
// where the Count says so. Errors and time are those of [Store.List].
func (s *Store) Rehearse(ctx context.Context, action Action, f Filter) (Rehearsal, error) {
	if err := checkOperation(action, f); err != nil {
		return Rehearsal{}, err
	}
	found, err := s.rehearse(ctx, action, f)
	if err != nil {
		return Rehearsal{}, err
	}
	r := Rehearsal{Count: found.count, Searched: found.searched}
	ledger, err := s.Identity(ctx)
	if err != nil {
		return r, err
	}
	var unread []error
	err = s.look(ctx, "read jobs", func(ctx context.Context, c conn) (err error) {
		r.Samples, unread, err = s.entriesOf(ctx, c, ledger, found.ids)
		return err
	})
	return r, errors.Join(append(unread, err)...)
}

// rehearsed is what a rehearsal finds: the ids are those of the first few jobs.
type rehearsed struct {
	count    Count
	searched int
	ids      []string
}

func (s *Store) rehearse(ctx context.Context, action Action, f Filter) (found rehearsed, err error) {
	err = s.look(ctx, "rehearse "+string(action), func(ctx context.Context, c conn) (err error) {
		found, err = s.countFor(ctx, c, action, f)
		return err
	})
	return found, err
}

func (s *Store) countFor(ctx context.Context, c conn, action Action, f Filter) (rehearsed, error) {
	var found rehearsed
	began, err := s.ready(ctx, c)
	if err != nil {
		return found, err
	}
	counted := make(map[ackbox.State]bool)
	for i, way := range stretches(action, f) {
		if len(way.states) == 1 && counted[way.states[0]] {
			continue // walked a second time
		}
		counted[way.states[0]] = true
		seen, err := s.survey(ctx, c, way, action, f, spot{Stretch: i}, began, stepLook)
		if err != nil {
			return found, err
		}
		found.searched += len(seen)
		found.count.More = found.count.More || len(seen) == stepLook
		for _, one := range seen {
			if !one.match {
				continue
			}
			found.count.N++
			if len(found.ids) < samples {
				found.ids = append(found.ids, one.ID)
			}
		}
	}
	if found.count.N > countCap {
		found.count = Count{N: countCap, More: true}
	}
	return found, nil
}

// StartOperation records that action is to be done to all jobs that match f, in the name of
// [By] and for a reason; f must not be empty, unless it says All. ActionRequeue is for dead
// jobs, and for cancelled ones if f.State asks for them; ActionCancel for pending, nacked
// and refused ones; ActionRunNow for pending and nacked ones; ActionDelete for what is
// finished. f.State may be one of those; f.Running selects none, and is refused.
//
// The sweeps of any instance (retry.Sweeper) carry it on, see [Store.CarryOn], and
// [Store.Operation] tells how far it has come. It is done to what was so when it began, and
// once to each job: one that was requeued and dies again is left alone. What moves from one
// state to another meanwhile may be missed. It goes on after restarts, until it is done or
// [Store.StopOperation] stops it.
func (s *Store) StartOperation(ctx context.Context, action Action, f Filter, reason string) (Operation, error) {
	if err := checkOperation(action, f); err != nil {
		return Operation{}, err
	}
	filter, err := json.Marshal(f)
	if err != nil {
		return Operation{}, fmt.Errorf("outbox: encode the filter: %w", err)
	}
	found, err := s.rehearse(ctx, action, f)
	if err != nil {
		return Operation{}, err
	}
	expected := found.count.N
	if found.count.More {
		expected = countCap + 1
	}
	id := NewID()
	var op Operation
	err = s.inTx(ctx, "start an operation", func(ctx context.Context, tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, s.sql.begin, id, string(action), string(filter), actorOf(ctx), errorText(reason), expected); err != nil {
			return fmt.Errorf("record the operation: %w", err)
		}
		op, err = readOperation(tx.QueryRowContext(ctx, s.sql.operation, id).Scan)
		return err
	})
	return op, err
}

// checkOperation refuses what is no operation on many jobs.
func checkOperation(action Action, f Filter) error {
	states := fit(action)
	if states == nil {
		return fmt.Errorf("outbox: %.100q is not done to all jobs that match a filter: want %q", action,
			[]Action{ActionRequeue, ActionCancel, ActionRunNow, ActionDelete})
	}
	if f.empty() && !f.All {
		return ErrEmptyFilter
	}
	if err := f.check(); err != nil {
		return err
	}
	if f.Running {
		return fmt.Errorf("outbox: Filter.Running is set: %s changes no job that runs", action)
	}
	if f.State != "" && !slices.Contains(states, f.State) {
		return fmt.Errorf("outbox: Filter.State is %q: %s changes jobs that are %q", f.State, action, states)
	}
	return nil
}

// StopOperation stops one that is running, after its present step: what it has changed
// stays so. One that is not running stays as it is. [ErrNotFound] says that there is none.
func (s *Store) StopOperation(ctx context.Context, id string) error {
	return s.halt(ctx, ActionStop, id, OperationRunning, OperationStopped)
}

// ContinueOperation has one go on that was stopped, from where it was. One that is not
// stopped stays as it is. [ErrNotFound] says that there is none.
func (s *Store) ContinueOperation(ctx context.Context, id string) error {
	return s.halt(ctx, ActionContinue, id, OperationStopped, OperationRunning)
}

// halt brings an operation from one state to another, and records that as an operation, too.
func (s *Store) halt(ctx context.Context, action Action, id string, from, to OperationState) error {
	if _, err := s.Operation(ctx, id); err != nil {
		return err
	}
	return s.inTx(ctx, string(action)+" an operation", func(ctx context.Context, tx *sql.Tx) error {
		changed, err := readIDs(tx.QueryContext(ctx, s.sql.halt, string(to), string(to), id, string(from)))
		if err != nil || len(changed) == 0 {
			return err
		}
		return s.writeOperation(ctx, tx, &Operation{
			ID: NewID(), Action: action, IDs: []string{id}, State: OperationDone, By: actorOf(ctx), Reason: reasonOf(ctx),
			Expected: Count{N: 1}, Changed: 1, LookedAt: 1,
		})
	})
}
