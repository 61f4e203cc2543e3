package worker

import (
	"sync"
	"time"

	"github.com/ackbox/ackbox/internal/content"
	"github.com/ackbox/ackbox/internal/core"
)

// try identifies a job's try, whichever copy carries it. Two ledgers may know the
// same id, if one is a copy of the other.
type try struct {
	ledger, id string
	attempt    int
}

func tryOf(d core.Delivery) try { return try{d.Ledger, d.ID, d.Attempt} }

// hands is the set of deliveries in hand. Safe for concurrent use.
type hands struct {
	mu    sync.Mutex
	empty sync.Cond // signalled when all is empty
	all   map[*hand]struct{}
	jobs  map[try]*hand // those with a row
	// returned are jobs that went back to the broker before the ledger had heard
	// of them.
	returned map[try]core.Holding
}

func newHands() *hands {
	s := &hands{all: make(map[*hand]struct{}), jobs: make(map[try]*hand), returned: make(map[try]core.Holding)}
	s.empty.L = &s.mu
	return s
}

// take adds d, which is about to wait in line. If another copy of the same try is
// in hand already, d is joined to it, to be settled together with it, and take
// returns nil: after a lost connection the broker hands out again what is still
// running here.
func (s *hands) take(d core.Delivery, in *line) *hand {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := tryOf(d)
	if first, ok := s.jobs[key]; ok && d.Ledger != "" {
		s.join(first, d)
		return nil
	}
	h := &hand{Delivery: d, set: s, line: in, taken: time.Now()}
	if d.Receipt != nil {
		h.copies = []core.Receipt{d.Receipt}
	}
	s.all[h] = struct{}{}
	if d.Ledger != "" {
		s.jobs[key] = h
		delete(s.returned, key)
	}
	return h
}

// lose notes that the subscription to a queue ended, or was not to be had. What is in hand of it and has no row
// will come again: here it is joined to what runs, or is held back, already.
func (s *hands) lose(queue string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for h := range s.all {
		if h.Ledger == "" && h.Queue == queue {
			h.lost = time.Now()
		}
	}
}

// rejoin joins d to what was in hand of it when its subscription ended, and reports
// whether anything was. d alone is settled with it: the receipt before is worth nothing.
func (s *hands) rejoin(d core.Delivery) bool {
	s.mu.Lock()
	first := s.lost(d)
	if first == nil {
		s.mu.Unlock()
		return false
	}
	before := first.copies
	first.copies, first.lost = []core.Receipt{d.Receipt}, time.Time{}
	s.mu.Unlock()
	giveBackAll(before)
	return true
}

// lost returns what was in hand of d when its subscription ended, nil if nothing was. Two
// messages may be equal in everything: so each that was lost stands for one that comes.
func (s *hands) lost(d core.Delivery) *hand {
	if !d.Redelivered {
		return nil
	}
	hash := ""
	for h := range s.all {
		if h.lost.IsZero() || h.Ledger != "" || h.Queue != d.Queue || h.ID != d.ID || h.Attempt != d.Attempt {
			continue
		}
		if hash == "" {
			hash = content.Hash(d.Message)
		}
		if content.Hash(h.Message) == hash {
			return h
		}
	}
	return nil
}

// join keeps another copy of what is in hand as first.
func (s *hands) join(first *hand, d core.Delivery) {
	switch {
	case d.Receipt == nil:
	case d.Resend > first.Resend:
		if len(first.newer) == 0 {
			first.joined = time.Now()
		}
		first.newer = append(first.newer, d.Receipt)
	default:
		first.copies = append(first.copies, d.Receipt)
	}
}

// drop takes h out of the set and returns its receipts; none the second time. If
// its messages go back to the broker, the ledger may have to hear of it yet.
func (s *hands) drop(h *hand, back bool) (copies, newer []core.Receipt) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h.settled {
		return nil, nil
	}
	h.settled = true
	delete(s.all, h)
	if len(s.all) == 0 {
		s.empty.Broadcast()
	}
	if key := tryOf(h.Delivery); s.jobs[key] == h {
		delete(s.jobs, key)
		if back && h.record == unrecorded && h.begun.IsZero() {
			s.returned[key] = core.Holding{ID: h.ID, Attempt: h.Attempt, Resend: h.Resend}
		}
	}
	return h.copies, h.newer
}

// forgetRecords forgets what the ledger has heard, so that it hears it anew.
func (s *hands) forgetRecords() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for h := range s.all {
		h.record = unrecorded
	}
}

// waitEmpty returns when nothing is in hand.
func (s *hands) waitEmpty() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.all) > 0 {
		s.empty.Wait()
	}
}

// those returns what is in hand and of what says yes, under the lock, so that it may
// note that it has been looked at.
func (s *hands) those(of func(h *hand) bool) (list []*hand) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for h := range s.all {
		if of(h) {
			list = append(list, h)
		}
	}
	return list
}

// snapshot returns everything in hand.
func (s *hands) snapshot() []*hand {
	return s.those(func(*hand) bool { return true })
}

// numbers returns how many handlers are overdue, and how much is in hand.
func (s *hands) numbers() (overdue, inHand int) {
	now := time.Now()
	late := s.those(func(h *hand) bool { return h.isOverdue(now) })
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(late), len(s.all)
}
