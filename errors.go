package ackbox

import "errors"

// ErrSuperseded says that the job at hand is no longer the ledger's current
// copy: it is finished already, or another copy took over. Returned from a
// handler's transaction (outbox.Complete gives it) it rolls the effect back
// and makes the worker drop the delivery without charging a try.
var ErrSuperseded = errors.New("ackbox: the job is finished or another copy took over")

// ErrClosed says that the object was closed by its owner.
var ErrClosed = errors.New("ackbox: closed")

// ErrNoQueue says that a queue does not exist on the broker, so no message can
// be waiting in it.
var ErrNoQueue = errors.New("ackbox: the queue does not exist on the broker")
