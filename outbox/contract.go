package outbox

import (
	"context"
	"errors"
	"time"
)

// This file is the contract between those who build issue 12 side by side: it goes when
// each method has its own place.

var errNotBuilt = errors.New("outbox: not built yet")

// Count counts what matches f, to 10,000.
func (s *Store) Count(ctx context.Context, f Filter) (Count, error) { return Count{}, errNotBuilt }

// GivenUp groups the newest 10,000 dead jobs that match f by kind and first line of the error,
// the largest group first, and returns how many rows it looked at.
func (s *Store) GivenUp(ctx context.Context, f Filter) ([]Group, int, error) {
	return nil, 0, errNotBuilt
}

// QueueStatus returns how each queue stands that has unfinished jobs, is consumed, paused or named by Config.Queues.
func (s *Store) QueueStatus(ctx context.Context) ([]QueueStatus, error) { return nil, errNotBuilt }

// Pause, Resume, RunNow, Reschedule, Delete and operations: helper control.
func (s *Store) Pause(ctx context.Context, queue, reason string) error { return errNotBuilt }

// Resume ends a pause.
func (s *Store) Resume(ctx context.Context, queue string) error { return errNotBuilt }

// RunNow makes jobs due now that wait for their time, a retry or the broker.
func (s *Store) RunNow(ctx context.Context, ids ...string) (int, error) { return 0, errNotBuilt }

// Reschedule makes waiting jobs due at another time.
func (s *Store) Reschedule(ctx context.Context, at time.Time, ids ...string) (int, error) {
	return 0, errNotBuilt
}

// Delete deletes finished jobs.
func (s *Store) Delete(ctx context.Context, ids ...string) (int, error) { return 0, errNotBuilt }

// Rehearse says what an operation would do.
func (s *Store) Rehearse(ctx context.Context, action Action, f Filter) (Rehearsal, error) {
	return Rehearsal{}, errNotBuilt
}

// StartOperation records an operation that the sweeps of any instance carry on.
func (s *Store) StartOperation(ctx context.Context, action Action, f Filter, reason string) (Operation, error) {
	return Operation{}, errNotBuilt
}

// StopOperation stops it after its present step.
func (s *Store) StopOperation(ctx context.Context, id string) error { return errNotBuilt }

// Operation returns one, or ErrNotFound.
func (s *Store) Operation(ctx context.Context, id string) (Operation, error) {
	return Operation{}, errNotBuilt
}

// Operations lists them, newest first.
func (s *Store) Operations(ctx context.Context, after string, limit int) (list []Operation, next string, err error) {
	return nil, "", errNotBuilt
}

// CarryOn does one bounded step of the oldest running operation; for sweeps.
func (s *Store) CarryOn(ctx context.Context, limit int) (int, error) { return 0, errNotBuilt }
