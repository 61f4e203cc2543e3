package outbox

import "time"

// QueueStatus is how the jobs of one queue stand.
type QueueStatus struct {
	Queue string
	// Due jobs wait to be published now, Later ones are not due yet.
	Due, Later Count
	// Refused jobs were refused by the broker, for now or for good.
	Refused Count
	// Sent jobs are on the broker, or in a worker's hands; Running are those of them that
	// are on record as running.
	Sent, Running Count
	Dead          Count
	// OldestDue is since when the oldest due job has been due, OldestSent since when the
	// oldest sent one was last seen; zero where there is none.
	OldestDue, OldestSent time.Time
	// Consumers is how many living workers consume the queue.
	Consumers int
	// Paused is set while the queue is to stand still.
	Paused *Pause
}

// Pause is people's word that a queue is to stand still.
type Pause struct {
	Queue  string
	At     time.Time
	By     string
	Reason string
}
