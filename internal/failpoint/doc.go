// Package failpoint names the moments at which a process of Ackbox can be
// killed with the most harm, so that tests can kill it there and not merely
// about there.
//
// A normal build knows none of it: [Hit] is empty and is inlined to nothing.
// Built with the tag ackbox_failpoints (on Unix) it reads the variable
// ACKBOX_FAILPOINTS once, a list such as
//
//	outbox.published=kill:3,worker.handled=stop:1
//
// and, when a point is hit for the third time, kills this process with SIGKILL,
// or for the first time, stops it with SIGSTOP until somebody sends SIGCONT.
// Nothing is flushed, closed or told to anybody: that is the point.
//
// It is below the root package, imports the standard library only and is for
// tests. Do not build what you deploy with that tag.
package failpoint

// Point names a moment.
type Point string

// The moments, in the order in which a job meets them.
const (
	// Claimed: a batch is claimed, nothing of it is published.
	Claimed Point = "outbox.claimed"
	// Published: the broker has answered, the rows know nothing of it.
	Published Point = "outbox.published"
	// Settled: the rows are updated, the transaction is not committed.
	Settled Point = "outbox.settled"
	// Committed: the batch is committed, the dispatcher does not know.
	Committed Point = "outbox.committed"
	// Taken: a worker has a delivery, its handler has not begun.
	Taken Point = "worker.taken"
	// Handled: the handler has returned, its outcome is recorded nowhere.
	Handled Point = "worker.handled"
	// Recorded: the outcome is in the ledger, the delivery not acknowledged.
	Recorded Point = "worker.recorded"
	// Replaced: the copy of a message without a row is confirmed, the original
	// not acknowledged.
	Replaced Point = "worker.replaced"
	// Carried: a step of an operation has changed its jobs, the transaction is not
	// committed.
	Carried Point = "outbox.carried"
)

// Points lists every Point.
func Points() []Point {
	return []Point{Claimed, Published, Settled, Committed, Taken, Handled, Recorded, Replaced, Carried}
}

// Variable names the environment variable that says what happens where.
const Variable = "ACKBOX_FAILPOINTS"
