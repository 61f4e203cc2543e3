package handler

import (
	"context"

	"github.com/ackbox/ackbox"
)

// Handler handles the jobs of one kind. Its methods are called from many
// goroutines at once and must honour their context: it ends when the job's
// timeout has passed, or when the process has to stop and its grace period is
// over.
//
// A job may be consumed more than once (at-least-once delivery): make the
// effect idempotent, or finish the job inside your own transaction with
// outbox.Complete, which makes the effect happen once.
//
// A handler may have a second method:
//
//	FailAction(ctx context.Context, job ackbox.Job, cause error) error
//
// It is called when the job is given up: its tries are used up, it failed
// permanently, or the broker refused it for too long. cause is the last error. If it
// fails or panics it is called again a few times; the job is dead either way. A type
// that wraps a Handler hides its FailAction unless it has one itself. A method of that
// name with other parameters, or one that a value does not have because its receiver
// is a pointer, is a mistake that [Registry.Err] reports.
type Handler interface {
	// Consume does the job. nil completes it. An error makes it run again by
	// its backoff policy until its tries are used up; package retry has the
	// errors that say otherwise (Permanent, After, Snooze).
	Consume(ctx context.Context, job ackbox.Job) error
}

// Job is a job with its decoded arguments.
type Job[A ackbox.Args] struct {
	ackbox.Job
	// Args are decoded from Payload.
	Args A
}

// Typed is a [Handler] for jobs whose arguments are A. It may have a second method,
// as a Handler may:
//
//	FailAction(ctx context.Context, job handler.Job[A], cause error) error
//
// Neither is called for a payload that does not decode into A: see [DecodeError].
type Typed[A ackbox.Args] interface {
	// Consume is like [Handler].Consume.
	Consume(ctx context.Context, job Job[A]) error
}
