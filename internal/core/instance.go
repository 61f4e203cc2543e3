package core

import "time"

// Roles of an [Instance].
const (
	RoleWorker  = "worker"
	RoleSweeper = "sweeper"
	// RoleDispatcher beats for people to see it: it holds nothing that could be taken back.
	RoleDispatcher = "dispatcher"
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
	Detail Detail
}

// Detail is what people are shown of an [Instance]; nothing rests on it.
type Detail struct {
	// Version is the build's.
	Version string
	// Slots are how many handlers may run at once, InHand is how many deliveries a worker
	// has, Overdue how many handlers have not returned long after their timeout.
	Slots, InHand, Overdue int
	// Trouble says what is not well; empty if nothing is.
	Trouble string
	// Running are the jobs that handlers have, the longest first; the ledger keeps
	// MaxRunning of them.
	Running []Running
}

// MaxRunning is how many running jobs an instance shows.
const MaxRunning = 50

// Running is a job that a handler has.
type Running struct {
	ID, Kind, Queue, Key string
	// For is how long it has had it.
	For     time.Duration
	Overdue bool
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
