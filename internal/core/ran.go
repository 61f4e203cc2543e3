package core

import (
	"time"

	"github.com/ackbox/ackbox"
)

// Ran is a handler's run of which the outcome is durable, for the ledger's statistics.
type Ran struct {
	Queue, Kind string
	// To is Done, Dead, or Pending for a try that was charged and runs again.
	To ackbox.State
	// For is how long Consume ran; 0 if it was not called.
	For time.Duration
}
