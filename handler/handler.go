package handler

import (
	"context"

	"github.com/ackbox/ackbox"
)

// Handler handles the jobs of one kind. Both methods are called from many
// goroutines at once and must honour their context: it ends when the job's
// timeout has passed, or when the process has to stop and its grace period is
// over.
//
// A job may be consumed more than once (at-least-once delivery): make the
// effect idempotent, or finish the job inside your own transaction with
// outbox.Complete, which makes the effect happen once.
type Handler interface {
	// Consume does the job. nil completes it. An error makes it run again by
	// its backoff policy until its tries are used up; package retry has the
	// errors that say otherwise (Permanent, After, Snooze).
	Consume(ctx context.Context, job ackbox.Job) error
	// FailAction is called when the job is given up: its tries are used up, or
	// it failed permanently. cause is the last error of Consume. If FailAction
	// fails or panics it is called again a few times; the job is dead either
	// way.
	FailAction(ctx context.Context, job ackbox.Job, cause error) error
}

// Job is a job with its decoded arguments.
type Job[A ackbox.Args] struct {
	ackbox.Job
	// Args are decoded from Payload. In FailAction they are the zero value (of
	// pointer arguments: a pointer to one) if the payload does not decode, as
	// when cause is a [DecodeError].
	Args A
}

// Typed is a [Handler] for jobs whose arguments are A.
type Typed[A ackbox.Args] interface {
	// Consume is like [Handler].Consume.
	Consume(ctx context.Context, job Job[A]) error
	// FailAction is like [Handler].FailAction.
	FailAction(ctx context.Context, job Job[A], cause error) error
}

// NoFailAction can be embedded into a [Typed] handler that has nothing to do
// when a job is given up: the dead row says all.
type NoFailAction[A ackbox.Args] struct{}

// FailAction does nothing.
func (NoFailAction[A]) FailAction(context.Context, Job[A], error) error { return nil }
