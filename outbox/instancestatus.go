package outbox

import "time"

// Instance is one running loop of a process, as it says of itself every few seconds.
type Instance struct {
	ID, Role, Host string
	PID            int
	// Queues are those that a worker consumes.
	Queues            []string
	StartedAt, SeenAt time.Time
	// Alive is false of one that was silent while others were not.
	Alive bool
	// Version is the build's, as Go has stamped it.
	Version string
	// Slots, InHand and Overdue are a worker's: how many handlers may run at once, how many
	// jobs it has, and how many handlers have not returned long after their timeout.
	Slots, InHand, Overdue int
	// Trouble says what is not well there; empty if nothing is.
	Trouble string
	// Running are the jobs that its handlers have, the longest first, 50 at most.
	Running []Running
}

// Running is a job that a handler has.
type Running struct {
	ID, Kind, Queue, Key string
	Since                time.Time
	Overdue              bool
}
