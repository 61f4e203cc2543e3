package ackbox

import (
	"errors"
	"fmt"
	"strings"
	"time"
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
}

// DeadFilter chooses messages of a dead queue. A field that is not set chooses all.
type DeadFilter struct {
	// In is the queue to look in, for what other systems have dead-lettered into a queue
	// of their own. Default the work queue's name with ".dead".
	In string
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

// Validate reports what is wrong with f, by field.
func (f DeadFilter) Validate() error {
	if !f.DiedAfter.IsZero() && !f.DiedBefore.IsZero() && !f.DiedAfter.Before(f.DiedBefore) {
		return fmt.Errorf("DeadFilter.DiedAfter is %v: want a time before DiedBefore, %v", f.DiedAfter, f.DiedBefore)
	}
	return nil
}

// DeadReport is what was found in a dead queue.
type DeadReport struct {
	// Messages are those that the filter chooses, in the queue's order, up to the limit. (A
	// quorum queue does not keep the order of what was looked at.)
	Messages []DeadMessage
	// Matched is how many it chooses of those that were looked at, Looked how many were.
	Matched, Looked int
	// Complete says that the queue holds no more. Otherwise the look ended at what one
	// may take: 10,000 messages, or 64 MiB of them.
	Complete bool
}
