package ackbox

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// DeadMessage is a message in a dead queue: one that has no row, or was given up by a
// worker that was not its own, or was dead-lettered by the broker for somebody else.
type DeadMessage struct {
	// Job is what it was taken for, and would be again.
	Job
	// Error is why it was given up, at most 1024 bytes of it. Of a message that the broker
	// dead-lettered it is the broker's reason: expired, rejected, maxlen or delivery_limit.
	Error string
	// FirstSeen is when a worker first put it aside, or when it was last requeued from here,
	// DiedAt when it was given up, to the second; zero where nobody noted it.
	FirstSeen, DiedAt time.Time
	// Deaths are the broker's own notes (x-death), the latest first: where it has
	// dead-lettered the message, and why. There are none of what a worker has given up.
	Deaths []Death
}

// Death is one of the broker's notes that it has dead-lettered a message.
type Death struct {
	// Queue is where it was, Exchange and RoutingKey are how it had come there.
	Queue, Exchange, RoutingKey string
	// Reason is expired, rejected, maxlen or delivery_limit.
	Reason string
	// Count is how often that happened in this queue for this reason.
	Count int
	// At is when, to the second: of the first or the last time, as the broker's version has it.
	At time.Time
}

// DeadFilter chooses messages of a dead queue. A field that is not set chooses all.
type DeadFilter struct {
	// In is the queue to look in, for what other systems have dead-lettered into a queue
	// of their own. Default the work queue's name with ".dead".
	In string
	// DeliveryLimit is how often the owner of In lets a message come back, each look being
	// once, where that is a quorum queue: AMQP cannot ask. Default 20, RabbitMQ 4's; at
	// least 2, and only beside In.
	DeliveryLimit int
	// ID, Kind, Exchange and RoutingKey are those of the Job.
	ID, Kind, Exchange, RoutingKey string
	// Error is a part of the error's text.
	Error string
	// DiedAfter and DiedBefore bound when it was given up, the first included.
	DiedAfter, DiedBefore time.Time
	// All says that it is meant that nothing else is set: what deletes refuses an empty
	// filter without it.
	All bool
}

// Match reports whether f chooses m.
func (f DeadFilter) Match(m DeadMessage) bool {
	is := func(want, got string) bool { return want == "" || want == got }
	return is(f.ID, m.ID) && is(f.Kind, m.Kind) && is(f.Exchange, m.Exchange) && is(f.RoutingKey, m.RoutingKey) &&
		strings.Contains(m.Error, f.Error) &&
		(f.DiedAfter.IsZero() || !m.DiedAt.Before(f.DiedAfter)) &&
		(f.DiedBefore.IsZero() || m.DiedAt.Before(f.DiedBefore) && !m.DiedAt.IsZero())
}

// Deletes reports, as an error that says what is accepted, that f may not choose what is
// deleted: it is empty, and All is not set.
func (f DeadFilter) Deletes() error {
	if f.All {
		return nil
	}
	// Times by IsZero: one in another zone equals no zero value, and chooses all the same.
	if f.ID+f.Kind+f.Exchange+f.RoutingKey+f.Error == "" && f.DiedAfter.IsZero() && f.DiedBefore.IsZero() {
		return errors.New("the filter is empty, which would delete everything: set a field of ackbox.DeadFilter, or All")
	}
	return nil
}

// Validate reports everything that is wrong with f, each error naming the field and what
// is accepted.
func (f DeadFilter) Validate() error {
	var errs []error
	if len(f.In) > maxQueueName || !utf8.ValidString(f.In) || strings.ContainsRune(f.In, 0) {
		errs = append(errs, fmt.Errorf("ackbox: DeadFilter.In %.100q: want up to %d bytes of UTF-8 without NUL", f.In, maxQueueName))
	}
	switch {
	case f.DeliveryLimit < 0 || f.DeliveryLimit == 1:
		errs = append(errs, fmt.Errorf("ackbox: DeadFilter.DeliveryLimit is %d: want 2 or more, or 0 for the default", f.DeliveryLimit))
	case f.DeliveryLimit > 0 && f.In == "":
		errs = append(errs, fmt.Errorf("ackbox: DeadFilter.DeliveryLimit is %d without In: our own dead queues have none; want 0", f.DeliveryLimit))
	}
	if !f.DiedAfter.IsZero() && !f.DiedBefore.IsZero() && !f.DiedAfter.Before(f.DiedBefore) {
		errs = append(errs, fmt.Errorf("ackbox: DeadFilter.DiedAfter is %v: want a time before DiedBefore, %v", f.DiedAfter, f.DiedBefore))
	}
	return errors.Join(errs...)
}

// maxQueueName is AMQP's limit, in bytes.
const maxQueueName = 255

// DeadReport is what was found in a dead queue.
type DeadReport struct {
	// Messages are those that the filter chooses, in the queue's order, up to the limit, and
	// up to 64 MiB of them.
	Messages []DeadMessage
	// Matched is how many it chooses of those that were looked at, Looked how many were.
	Matched, Looked int
	// Complete says that the queue holds no more, but for what somebody else looks at in this
	// moment. Otherwise the look ended at the 100,000 messages that one may take.
	Complete bool
}
