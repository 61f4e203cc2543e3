package core

import "errors"

// ErrNoQueue says that a queue does not exist on the broker, so no message can
// be waiting in it.
var ErrNoQueue = errors.New("ackbox: the queue does not exist on the broker")

// ErrUnsure says that a broker's answer, that nothing waits in a queue, may be no
// answer at all: nothing follows from it.
var ErrUnsure = errors.New("ackbox: the queue itself does not answer")

// ErrGivenUp is the ackbox.ErrSuperseded of a message without a row whose FailAction was
// committed before, in the same round: whoever called it may have died before the message
// was in the dead queue, so it is buried, and not dropped.
var ErrGivenUp = errors.New("the message was given up before")
