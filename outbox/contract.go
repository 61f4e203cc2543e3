package outbox

import (
	"context"
	"errors"
)

// This file is the contract between those who build issue 12 side by side: it goes when
// each method has its own place.

var errNotBuilt = errors.New("outbox: not built yet")

// Pause, Resume, RunNow, Reschedule, Delete and operations: helper control.
func (s *Store) Pause(ctx context.Context, queue, reason string) error { return errNotBuilt }

// Resume ends a pause.
func (s *Store) Resume(ctx context.Context, queue string) error { return errNotBuilt }

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

// CarryOn does one bounded step of the oldest running operation; for sweeps.
func (s *Store) CarryOn(ctx context.Context, limit int) (int, error) { return 0, errNotBuilt }
