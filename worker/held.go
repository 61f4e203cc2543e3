package worker

import (
	"sync"
	"time"

	"github.com/ackbox/ackbox"
)

// inHand is a delivery that this worker holds, from the moment it comes in
// until it is settled.
type inHand struct {
	ackbox.Delivery
	set *held

	// All below is guarded by set.mu.
	receipts []ackbox.Receipt // its own, and those of copies joined to it
	started  time.Time        // when its handler was called; zero before
	overdue  time.Time        // when its handler should have returned
	reported bool             // as overdue
	settled  bool
}

// try identifies a job's try, whichever copy carries it.
type try struct {
	id      string
	attempt int
}

// held is the set of deliveries in hand. Safe for concurrent use.
type held struct {
	mu   sync.Mutex
	all  map[*inHand]struct{}
	jobs map[try]*inHand // those with a row
}

func newHeld() *held {
	return &held{all: make(map[*inHand]struct{}), jobs: make(map[try]*inHand)}
}

// take adds d. If another copy of the same try is in hand already, d is joined
// to it, to be settled together with it, and take returns nil: after a lost
// connection the broker hands out again what is still running here.
func (s *held) take(d ackbox.Delivery) *inHand {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := try{d.ID, d.Attempt}
	if first, ok := s.jobs[key]; ok && d.Ledger {
		first.receipts = append(first.receipts, d.Receipt)
		return nil
	}
	h := &inHand{Delivery: d, set: s, receipts: []ackbox.Receipt{d.Receipt}}
	s.all[h] = struct{}{}
	if d.Ledger {
		s.jobs[key] = h
	}
	return h
}

// start notes that the handler is being called.
func (h *inHand) start(overdue time.Time) {
	h.set.mu.Lock()
	defer h.set.mu.Unlock()
	h.started, h.overdue = time.Now(), overdue
}

// ack acknowledges the delivery and every copy joined to it.
func (h *inHand) ack() { h.settle(ackbox.Receipt.Ack) }

// requeue gives the delivery, and every copy joined to it, back to the broker.
func (h *inHand) requeue() { h.settle(ackbox.Receipt.Requeue) }

// settle answers the broker. An error means that the channel is gone: then the
// broker hands the message out again by itself, and the ledger knows the rest.
func (h *inHand) settle(answer func(ackbox.Receipt) error) {
	for _, receipt := range h.set.drop(h) {
		_ = answer(receipt)
	}
}

// drop takes h out of the set and returns its receipts; none the second time.
func (s *held) drop(h *inHand) []ackbox.Receipt {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h.settled {
		return nil
	}
	h.settled = true
	delete(s.all, h)
	if key := (try{h.ID, h.Attempt}); s.jobs[key] == h {
		delete(s.jobs, key)
	}
	return h.receipts
}

// ids returns the ids of all jobs with a row.
func (s *held) ids() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	ids := make([]string, 0, len(s.jobs))
	for key := range s.jobs {
		ids = append(ids, key.id)
	}
	return ids
}

// snapshot returns everything in hand.
func (s *held) snapshot() []*inHand {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*inHand, 0, len(s.all))
	for h := range s.all {
		list = append(list, h)
	}
	return list
}

// late returns the handlers that are overdue at now and were not returned
// before.
func (s *held) late(now time.Time) []*inHand {
	s.mu.Lock()
	defer s.mu.Unlock()
	var fresh []*inHand
	for h := range s.all {
		if !h.started.IsZero() && now.After(h.overdue) && !h.reported {
			h.reported = true
			fresh = append(fresh, h)
		}
	}
	return fresh
}

// numbers returns how many handlers are overdue at now, and how much is in hand.
func (s *held) numbers(now time.Time) (overdue, inHand int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for h := range s.all {
		if !h.started.IsZero() && now.After(h.overdue) {
			overdue++
		}
	}
	return overdue, len(s.all)
}

// running reports whether the handler is being called.
func (h *inHand) running() bool {
	h.set.mu.Lock()
	defer h.set.mu.Unlock()
	return !h.started.IsZero() && !h.settled
}
