package ackbox

import (
	"context"
	"time"
)

// Hook is told what happens to jobs. It implements any of [EnqueueHook], [PublishHook],
// [StartHook], [FinishHook]; one that implements none is refused by the constructor
// that is given it (Config.Hooks of outbox, dispatcher and worker). Hooks are called one after the other,
// in the goroutine in which the thing happened: they must return soon, and be safe for
// concurrent use. A panic of theirs is logged and changes nothing.
type Hook any

// EnqueueHook is called when a job was written, in the caller's transaction, which may yet be
// rolled back. The job's CreatedAt is not known yet.
type EnqueueHook interface {
	Enqueued(ctx context.Context, job Job)
}

// PublishHook is called when the broker's answer for a job is in the ledger. A job that was
// not put on the wire, because the broker is away, is told of to nobody: its row has not
// changed. Where dispatchers have one, messages say when they were sent ([Job].SentAt).
type PublishHook interface {
	Published(ctx context.Context, p Published)
}

// Published is what a [PublishHook] is told.
type Published struct {
	Job Job
	// Status is "sent", "refused" or "unknown".
	Status string
	// Error is why it was refused, or nothing is known.
	Error string
	// Waited is from the job's being due to its being claimed, by the database's clock.
	Waited time.Duration
	// At is when it was put on the wire, Took how long the answer took.
	At   time.Time
	Took time.Duration
}

// StartHook is called before Consume of a handler is. The context is the handler's.
type StartHook interface {
	Started(ctx context.Context, job Job)
}

// FinishHook is called when the outcome of a handler's run is in the ledger, or of a
// message without a row in the broker.
type FinishHook interface {
	Finished(ctx context.Context, f Finished)
}

// Finished is what a [FinishHook] is told.
type Finished struct {
	Job Job
	// Outcome is "done", "failed" (it runs again at Next), "dead" (given up), "put off",
	// "given back" (no outcome: the worker stops) or "superseded": the job was finished, or
	// sent anew, or its row deleted, while this copy of it ran, so that this run counts for
	// nothing.
	Outcome string
	// Err is the handler's error, nil if it was done, or why it was given up.
	Err error
	// Next is when it runs again; zero if it does not.
	Next time.Time
	// At is when Consume was called, Ran for how long it ran; zero for a job that is given
	// up without having run (refused by the broker, say).
	At  time.Time
	Ran time.Duration
}
