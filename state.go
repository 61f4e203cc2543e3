package ackbox

// State says where a job is. The row of every job carries exactly one, and it
// changes only by a transition that is
// guarded by the id and the try.
type State string

const (
	// Pending jobs are committed; a dispatcher publishes them once they are due.
	Pending State = "pending"
	// Nacked jobs were refused by the broker (basic.nack, or basic.return
	// because no queue was bound); they are due for another publish later.
	Nacked State = "nacked"
	// Refused jobs were refused by the broker for too long. A worker of their queue
	// calls FailAction next, and then they are dead.
	Refused State = "refused"
	// Sent jobs were confirmed and routed by the broker; a worker has them or
	// will. A publish-only message ends here.
	Sent State = "sent"
	// Done jobs were handled; their rows are removed after the retention.
	Done State = "done"
	// Dead jobs were given up. They keep payload, route and every error until
	// an operator acts or the long retention ends.
	Dead State = "dead"
	// Cancelled jobs were withdrawn by an operator before they were sent.
	Cancelled State = "cancelled"
)

// States lists every state in the order in which a job can meet them.
func States() []State {
	return []State{Pending, Nacked, Refused, Sent, Done, Dead, Cancelled}
}

// Final reports whether no loop of Ackbox moves a job out of s by itself:
// done, dead and cancelled. Only an operator's requeue leaves dead.
func (s State) Final() bool {
	return s == Done || s == Dead || s == Cancelled
}

// Valid reports whether s is one of [States].
func (s State) Valid() bool {
	switch s {
	case Pending, Nacked, Refused, Sent, Done, Dead, Cancelled:
		return true
	}
	return false
}
