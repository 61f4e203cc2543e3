package outbox

import "time"

// Action is what an [Operation] does to jobs, or to a queue.
type Action string

// The actions. The first four can be done to all that match a filter.
const (
	ActionRequeue Action = "requeue"
	ActionCancel  Action = "cancel"
	ActionRunNow  Action = "run now"
	ActionDelete  Action = "delete"

	ActionReschedule Action = "reschedule"
	ActionPause      Action = "pause"
	ActionResume     Action = "resume"
	// ActionStop and ActionContinue are done to an operation, whose id is in IDs.
	ActionStop     Action = "stop"
	ActionContinue Action = "continue"
)

// OperationState says how far an [Operation] is.
type OperationState string

// The states of an operation.
const (
	OperationRunning OperationState = "running"
	OperationStopped OperationState = "stopped"
	OperationDone    OperationState = "done"
	OperationFailed  OperationState = "failed"
)

// Operation is something that a person did: the record of it and, of one that is about all
// jobs that match a filter, how far it has come.
type Operation struct {
	ID     string
	Action Action
	// IDs, Queue or Filter say to whom it was done.
	IDs    []string
	Queue  string
	Filter *Filter
	State  OperationState
	// By is who did it, Reason why, in his words.
	By, Reason           string
	CreatedAt, UpdatedAt time.Time
	FinishedAt           *time.Time
	// Expected is how many matched when it began.
	Expected Count
	// Changed jobs were changed, of those LookedAt.
	Changed, LookedAt int64
	Error             string
}

// Rehearsal is what an operation would do.
type Rehearsal struct {
	// Count is how many jobs it would change now, as far as was looked.
	Count Count
	// Searched is how many rows were looked at.
	Searched int
	// Samples are the first of them, 10 at most.
	Samples []Entry
}
