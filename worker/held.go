package worker

import (
	"sync"
	"time"

	"github.com/ackbox/ackbox/internal/core"
)

// inHand is a delivery that this worker holds, from the moment it comes in
// until it is settled.
type inHand struct {
	core.Delivery
	set *held

	// All below is guarded by set.mu.
	taken    time.Time
	copies   []core.Receipt // its own, and those of copies joined to it
	newer    []core.Receipt // of joined copies that were sent after it
	vouched  bool           // the ledger has heard of it
	overdue  time.Time      // when its handler should have returned; zero while none runs
	reported bool           // as overdue
	started  bool           // it has a slot
	settled  bool
}

// try identifies a job's try, whichever copy carries it. Two ledgers may know the
// same id, if one is a copy of the other.
type try struct {
	ledger, id string
	attempt    int
}

func tryOf(d core.Delivery) try { return try{d.Ledger, d.ID, d.Attempt} }

// held is the set of deliveries in hand. Safe for concurrent use.
type held struct {
	mu       sync.Mutex
	all      map[*inHand]struct{}
	jobs     map[try]*inHand  // those with a row
	returned map[try]struct{} // jobs given back that the ledger has not heard of since
}

func newHeld() *held {
	return &held{all: make(map[*inHand]struct{}), jobs: make(map[try]*inHand), returned: make(map[try]struct{})}
}

// take adds d. If another copy of the same try is in hand already, d is joined
// to it, to be settled together with it, and take returns nil: after a lost
// connection the broker hands out again what is still running here.
func (s *held) take(d core.Delivery) *inHand {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := tryOf(d)
	if first, ok := s.jobs[key]; ok && d.Ledger != "" {
		if d.Resend > first.Resend {
			first.newer = append(first.newer, d.Receipt)
		} else {
			first.copies = append(first.copies, d.Receipt)
		}
		return nil
	}
	h := &inHand{Delivery: d, set: s, taken: time.Now(), copies: []core.Receipt{d.Receipt}}
	s.all[h] = struct{}{}
	if d.Ledger != "" {
		s.jobs[key] = h
	}
	return h
}

// start notes that h has a slot, and reports whether it still is to be handled.
func (h *inHand) start() bool {
	h.set.mu.Lock()
	defer h.set.mu.Unlock()
	h.started = true
	return !h.settled
}

// unstarted returns the deliveries of a queue that have no slot yet.
func (s *held) unstarted(queue string) (list []*inHand) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for h := range s.all {
		if h.Queue == queue && !h.started {
			list = append(list, h)
		}
	}
	return list
}

// begin notes that a handler is being called, and until when it has to return.
func (h *inHand) begin(overdue time.Time) {
	h.set.mu.Lock()
	defer h.set.mu.Unlock()
	h.overdue, h.reported = overdue, false
}

// end notes that the handler has returned.
func (h *inHand) end() {
	h.set.mu.Lock()
	defer h.set.mu.Unlock()
	h.overdue = time.Time{}
}

// running reports whether a handler is being called.
func (h *inHand) running() bool {
	h.set.mu.Lock()
	defer h.set.mu.Unlock()
	return !h.overdue.IsZero()
}

// gone reports whether the delivery was settled already, as those are that Run
// has given up waiting for.
func (h *inHand) gone() bool {
	h.set.mu.Lock()
	defer h.set.mu.Unlock()
	return h.settled
}

// ack acknowledges the delivery and the copies joined to it. Copies that were
// sent after it go back to the queue instead: what was recorded may be the very
// reason why they were sent, so when they come again the ledger is asked.
func (h *inHand) ack() {
	ackAll([]*inHand{h})
}

// ackAll is ack for many, with few messages to the broker.
func ackAll(hands []*inHand) {
	receipts := make([]core.Receipt, 0, len(hands))
	var newer []core.Receipt
	for _, h := range hands {
		copies, after := h.set.drop(h, false)
		receipts, newer = append(receipts, copies...), append(newer, after...)
	}
	for len(receipts) > 0 {
		if batch, ok := receipts[0].(core.BatchReceipt); ok {
			receipts = batch.AckAll(receipts[1:])
			continue
		}
		settle(receipts[0].Ack)
		receipts = receipts[1:]
	}
	for _, receipt := range newer {
		settle(receipt.Requeue)
	}
}

// requeue gives the delivery, and every copy joined to it, back to the broker.
func (h *inHand) requeue() {
	copies, newer := h.set.drop(h, true)
	for _, receipt := range append(copies, newer...) {
		settle(receipt.Requeue)
	}
}

// settle answers the broker. An error means that the channel is gone: then the
// broker hands the message out again by itself, and the ledger knows the rest.
func settle(answer func() error) { _ = answer() }

// drop takes h out of the set and returns its receipts; none the second time.
func (s *held) drop(h *inHand, returned bool) (copies, newer []core.Receipt) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h.settled {
		return nil, nil
	}
	h.settled = true
	delete(s.all, h)
	if key := tryOf(h.Delivery); s.jobs[key] == h {
		delete(s.jobs, key)
		if returned {
			s.returned[key] = struct{}{}
		}
	}
	return h.copies, h.newer
}

// toVouch returns the jobs that their ledger, the one of that identity, has to hear
// of: all of them, or those that it has not heard of from this worker and that were
// handed out before or have been in hand for a while; and the ids of what was given
// back.
func (s *held) toVouch(ledger string, all bool) (jobs []*inHand, returned []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for _, h := range s.jobs {
		if h.Ledger == ledger && (all || !h.vouched && (again(h.Delivery) || now.Sub(h.taken) >= lookInterval)) {
			jobs = append(jobs, h)
		}
	}
	for key := range s.returned {
		if key.ledger == ledger {
			returned = append(returned, key.id)
		}
	}
	clear(s.returned)
	return jobs, returned
}

// any reports whether there may be something to vouch for.
func (s *held) any() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.jobs)+len(s.returned) > 0
}

// again reports whether d was in somebody's hands before.
func again(d core.Delivery) bool { return d.Redelivered || d.Returns > 0 }

// heard notes that the ledger has heard of jobs.
func (s *held) heard(jobs []*inHand) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range jobs {
		h.vouched = true
	}
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

// late returns the deliveries whose handlers are overdue and were not returned
// before.
func (s *held) late() []*inHand {
	s.mu.Lock()
	defer s.mu.Unlock()
	var fresh []*inHand
	now := time.Now()
	for h := range s.all {
		if h.isOverdue(now) && !h.reported {
			h.reported = true
			fresh = append(fresh, h)
		}
	}
	return fresh
}

// numbers returns how many handlers are overdue, and how much is in hand.
func (s *held) numbers() (overdue, inHand int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for h := range s.all {
		if h.isOverdue(now) {
			overdue++
		}
	}
	return overdue, len(s.all)
}

func (h *inHand) isOverdue(now time.Time) bool {
	return !h.overdue.IsZero() && now.After(h.overdue)
}
