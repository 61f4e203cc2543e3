package outbox

import "time"

// StatsQuery selects what [Store.Stats] returns.
type StatsQuery struct {
	// From and To bound the time: at most 25 hours by minutes, 31 days by hours.
	From, To time.Time
	// Step is time.Minute or time.Hour.
	Step time.Duration
	// Queue and Kind select, where set.
	Queue, Kind string
	// ByQueue and ByKind keep queues, and kinds, apart; otherwise they are added up.
	ByQueue, ByKind bool
}

// Stat is what happened in one step of time.
type Stat struct {
	At          time.Time
	Queue, Kind string
	// Enqueued jobs were written in that time, as far as they have been sent for the first
	// time by now; Sent counts messages that the broker has confirmed, Refused those that
	// it did not take.
	Enqueued, Sent, Refused int64
	// Done jobs were handled, Failed tries charged, Dead jobs given up.
	Done, Failed, Dead int64
	// Wait is from a job's being due to its being sent, Run how long handlers ran.
	Wait, Run Histogram
}

// Histogram counts durations by steps of a factor √2, from a millisecond on: a quantile is
// exact to 19 %.
type Histogram []int64
