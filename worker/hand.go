package worker

import (
	"time"

	"github.com/ackbox/ackbox/internal/core"
)

// hand is a delivery that this worker holds, from the moment it comes in until it
// is settled.
type hand struct {
	core.Delivery
	set *hands
	// line is the one that it waits in, or waited in.
	line *line
	// refused means that it came from the ledger and not from the broker: it is
	// given up without having run, because the broker took it for too long not.
	refused bool

	// All below is guarded by set.mu.
	taken    time.Time
	copies   []core.Receipt // its own, and those of copies joined to it
	newer    []core.Receipt // of joined copies that were sent after it
	joined   time.Time      // when the first of newer came
	lost     time.Time      // when its subscription ended; zero before. Without a row only
	record   record
	alone    bool      // the ledger has it alone: its messages are acknowledged
	begun    time.Time // when its handler was first called; zero before
	consume  time.Time // when Consume was called; zero before it has returned
	ran      time.Duration
	err      error     // of Consume
	overdue  time.Time // when the handler should have returned; zero while none is called
	reported bool      // as overdue
	settled  bool
}

// overdueAfter is how long after its timeout a handler counts as ignoring it.
const overdueAfter = 5 * time.Second

// record is what the ledger has heard of a delivery in hand.
type record int

const (
	unrecorded    record = iota
	asWaiting            // who has it is on record
	asRunning            // and since when it runs
	beyondRecords        // the row has moved on, or there is none
)

// begin notes that a handler is being called, and until when it has to return.
func (h *hand) begin(timeout time.Duration) {
	h.set.mu.Lock()
	defer h.set.mu.Unlock()
	now := time.Now()
	if h.begun.IsZero() {
		h.begun = now
	}
	h.overdue, h.reported = now.Add(timeout+overdueAfter), false
}

// end notes that the handler has returned.
func (h *hand) end() {
	h.set.mu.Lock()
	defer h.set.mu.Unlock()
	h.overdue = time.Time{}
}

// runtime is how long the handler ran; 0 of a job whose handler was not called.
func (h *hand) runtime() time.Duration {
	h.set.mu.Lock()
	defer h.set.mu.Unlock()
	return h.ran
}

// consumed notes that Consume, called at a time, has ended.
func (h *hand) consumed(at time.Time, err error) {
	h.set.mu.Lock()
	defer h.set.mu.Unlock()
	h.consume, h.ran, h.err = at, time.Since(at), err
}

// run is when Consume was called, for how long it ran and what it returned; zero if it
// was not.
func (h *hand) run() (at time.Time, ran time.Duration, err error) {
	h.set.mu.Lock()
	defer h.set.mu.Unlock()
	return h.consume, h.ran, h.err
}

// called reports whether a handler is being called.
func (h *hand) called() bool {
	h.set.mu.Lock()
	defer h.set.mu.Unlock()
	return !h.overdue.IsZero()
}

// gone reports whether the delivery was settled already, as those are that Run
// has given up waiting for.
func (h *hand) gone() bool {
	h.set.mu.Lock()
	defer h.set.mu.Unlock()
	return h.settled
}

// whereabouts says whether h's subscription was lost and its message is to come here
// again, or to another worker, since it would have come by now.
func (h *hand) whereabouts() (lost, elsewhere bool) {
	h.set.mu.Lock()
	defer h.set.mu.Unlock()
	return !h.lost.IsZero(), !h.lost.IsZero() && time.Since(h.lost) > lostPatience
}

// lostPatience is how long a message is waited for that a lost subscription gives back,
// once there is another.
const lostPatience = time.Minute

// recorded notes what the ledger has on record of h by now.
func (h *hand) recorded(as record) {
	h.set.mu.Lock()
	defer h.set.mu.Unlock()
	h.record = max(h.record, as)
}

// holding is h in the ledger's words.
func (h *hand) holding() core.Holding {
	h.set.mu.Lock()
	defer h.set.mu.Unlock()
	return h.asHolding(time.Now())
}

func (h *hand) asHolding(now time.Time) core.Holding {
	holding := core.Holding{ID: h.ID, Attempt: h.Attempt, Resend: h.Resend}
	if !h.begun.IsZero() {
		holding.Running = max(now.Sub(h.begun), time.Nanosecond) // 0 would say that it waits
	}
	return holding
}

func (h *hand) isOverdue(now time.Time) bool {
	return !h.overdue.IsZero() && now.After(h.overdue)
}
