package handler

import (
	"context"

	"github.com/ackbox/ackbox"
)

// Receiver is a handler of an older form, that of receivers which people write around an
// AMQP channel: it knows a body, and no context. [FromReceiver] makes a [Handler] of it.
type Receiver interface {
	// Consumer handles a message's body; nil completes it.
	Consumer(body []byte) error
	// FailAction is called with the last error and the body once its tries are used up.
	FailAction(cause error, body []byte) error
}

// FromReceiver returns a [Handler] that calls r's two methods with the payload of its
// jobs: register it by [Registry.Handle]. Errors that say how to go on (package retry)
// are understood. Its methods are called from many goroutines at once. r knows no context,
// so it cannot end early: a call that outlasts its timeout keeps its slot until it returns.
// Of a nil r it returns nil, which Handle reports.
func FromReceiver(r Receiver) Handler {
	if isNil(r) {
		return nil // which Handle reports
	}
	return receiver{r}
}

type receiver struct{ Receiver }

// Consume implements Handler.
func (r receiver) Consume(_ context.Context, job ackbox.Job) error {
	return r.Consumer(job.Payload)
}

// FailAction is called when the job is given up.
func (r receiver) FailAction(_ context.Context, job ackbox.Job, cause error) error {
	return r.Receiver.FailAction(cause, job.Payload)
}
