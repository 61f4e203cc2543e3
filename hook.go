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
// rolled back.
type EnqueueHook interface {
	Enqueued(ctx context.Context, job Job)
}

// PublishHook is called when the broker's answer for a job is in the ledger.
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

// StartHook is called before a handler runs. The context is the handler's.
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
	// Outcome is "done", "failed" (it runs again at Next), "dead" (given up), "put off" or
	// "given back" (no outcome: the worker stops).
	Outcome string
	// Err is the handler's error, nil if it was done.
	Err error
	// Next is when it runs again.
	Next time.Time
	// At is when the handler was called, Ran for how long it ran.
	At  time.Time
	Ran time.Duration
}
