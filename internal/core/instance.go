package core

import "time"

// Roles of an [Instance].
const (
	RoleWorker  = "worker"
	RoleSweeper = "sweeper"
)

// Instance is one Run of a loop, as the ledger knows it: it says every BeatInterval
// that it is alive.
type Instance struct {
	// ID is a UUID, new for each Run. It is what a job's holder is.
	ID   string
	Role string
	// Host and PID are for people.
	Host string
	PID  int
	// Queues are those that a worker consumes.
	Queues []string
}

const (
	// BeatInterval is how often an instance says that it is alive.
	BeatInterval = 3 * time.Second
	// Silence is how long after its last word an instance counts as dead, if the
	// ledger could be written by others meanwhile. Four beats may fail.
	Silence = 15 * time.Second
)

// Census is what one instance's beat learns: who else is alive, and what is to stand still.
type Census struct {
	// Sweepers is how many sweepers spoke within the last minute.
	Sweepers int
	// Paused are the queues that people have told to stand still, in order of their
	// names, 1,000 at most.
	Paused []string
}

// Unattended is a queue whose jobs nobody takes.
type Unattended struct {
	Queue string
	// Due are jobs that are pending though due for over a minute (at least; counting
	// ends at 1,000): no dispatcher publishes them.
	Due int
	// Sent are jobs that were sent over a minute ago to a queue that no living
	// worker consumes (counting ends at 1,000).
	Sent int
}
