package core

import "time"

// QueueAge tells a sweep how far a queue's work has come, by the ledger and by
// the database's clock.
type QueueAge struct {
	Queue string
	// Now is the database's clock when this was read.
	Now time.Time
	// Frontier is the latest time of sending among the queue's recently
	// finished jobs: the queue has been worked off up to there. Zero if none
	// finished recently.
	Frontier time.Time
}
