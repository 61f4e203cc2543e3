package outbox

import (
	"time"

	"github.com/ackbox/ackbox"
)

// Filter selects jobs. All that is set must hold; the zero Filter selects every job, and is
// refused by [Store.StartOperation] unless All is set.
type Filter struct {
	// State is the row's, any unless set.
	State ackbox.State `json:"state,omitempty"`
	// Running selects jobs that a handler has at this moment, as far as is on record.
	Running bool `json:"running,omitempty"`
	// Queue, Kind and Key are compared whole.
	Queue string `json:"queue,omitempty"`
	Kind  string `json:"kind,omitempty"`
	Key   string `json:"key,omitempty"`
	// Error is contained in the latest error, in whatever case.
	Error string `json:"error,omitempty"`
	// After and Before bound the time by which the list is ordered, see [Store.List].
	After  time.Time `json:"after,omitzero"`
	Before time.Time `json:"before,omitzero"`
	// All says that every job is meant, where nothing else is set.
	All bool `json:"all,omitempty"`
}

// Page is a part of a list.
type Page struct {
	Entries []Entry
	// Next continues the list; empty at its end.
	Next string
	// Searched is how many rows were looked at. A call looks at 10,000 at most: with Next
	// set there may be less than a page of what matches, and more behind it.
	Searched int
}

// Count is a number of rows. Counting ends at 10,000: More says that there are more.
type Count struct {
	N    int
	More bool
}

// Group are jobs that were given up for the same reason.
type Group struct {
	Kind string
	// Error is the first line of the last error.
	Error string
	N     int
	// First and Last are when the first and the last of them were given up.
	First, Last time.Time
	// Sample is the id of the last one.
	Sample string
}
