package outbox

import "time"

// HistoryEntry is something that happened to a job off the straight way, which is to be written,
// sent, and done: that is in the row's own times.
type HistoryEntry struct {
	At   time.Time `json:"at"`
	What Happening `json:"what"`
	// Attempt is the try at which it happened.
	Attempt int `json:"attempt"`
	// By is who did it: a person, as [By] has named him, or an instance, by its id. Of
	// TakenBack it is the instance that died.
	By string `json:"by,omitempty"`
	// Operation is the record of a person's act, see [Store.Operation].
	Operation string `json:"operation,omitempty"`
	// Error is why, of a failure or a refusal; of a person's act the reason he gave.
	Error string `json:"error,omitempty"`
	// SentAt and Ran are, of a try that has ended, when its newest copy was sent, and for how
	// long its handler ran, as far as that is known.
	SentAt *time.Time    `json:"sent_at,omitempty"`
	Ran    time.Duration `json:"ran,omitempty"`
	// Times is set where PutOff, Refused or Resent happened several times on end in one
	// try: then this is the latest of them, and First was the first.
	Times int        `json:"times,omitempty"`
	First *time.Time `json:"first,omitempty"`
}

// toUTC undoes the time zone of the session that wrote the entry.
func (h *HistoryEntry) toUTC() {
	for _, t := range []*time.Time{&h.At, h.SentAt, h.First} {
		if t != nil {
			*t = t.UTC()
		}
	}
}

// Happening says what a [HistoryEntry] was.
type Happening string

// What happens to jobs.
const (
	// Failed: a handler's try ended with an error and was charged.
	Failed Happening = "failed"
	// GivenUp: likewise, and it was the last one.
	GivenUp Happening = "given up"
	// Refused: the broker refused to take it.
	Refused Happening = "refused"
	// PutOff: its handler asked for another time, uncharged.
	PutOff Happening = "put off"
	// Resent: a sweep sent it again, because its message seemed lost.
	Resent Happening = "resent"
	// TakenBack: the instance that ran it died, and it was sent again.
	TakenBack Happening = "taken back"
	// Requeued, Cancelled, Hastened ("run now") and Rescheduled are people's acts.
	Requeued    Happening = "requeued"
	Cancelled   Happening = "cancelled"
	Hastened    Happening = "run now"
	Rescheduled Happening = "rescheduled"
)
