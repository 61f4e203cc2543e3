package rabbitmq

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
)

const (
	// stallPause is the least time between two messages that are sent to a
	// stalled destination to see whether it answers again.
	stallPause = 5 * time.Second
	// stallPatience is how long the answer to the first of them is waited for. It
	// doubles with each, up to Config.ConfirmTimeout: a broker that is slow and
	// not silent gets its chance.
	stallPatience = time.Second
	// stallOver is how long after its last stall an exchange is trusted again.
	stallOver = time.Minute
	// maxStalledKeys is how many stalled routing keys of an exchange are told
	// apart; beyond, all that never had an answer share one stall. Keys with ids
	// in them are all new, and each would cost its patience.
	maxStalledKeys = 4
	// maxStalls and maxGoodKeys bound the memory. What is beyond is treated like
	// the others.
	maxStalls   = 10_000
	maxGoodKeys = 1_000
)

const stalledReason = "not published: the broker confirms nothing for this destination at present"

// destination is what the broker may confirm nothing for: the queue of a job,
// whatever its route, or where an event is routed by. An exchange alone stands
// for all of its keys that never had an answer.
type destination struct {
	queue, exchange, key string
}

func destinationOf(job *ackbox.Job) destination {
	if job.Queue != "" {
		return destination{queue: job.Queue}
	}
	return destination{exchange: job.Exchange, key: job.RoutingKey}
}

// stalls are the destinations for which the broker confirms nothing, although
// it answers otherwise: quorum queues without a leader. Safe for concurrent use.
type stalls struct {
	log *slog.Logger

	mu        sync.Mutex
	known     map[destination]stall
	exchanges map[string]*doubt
}

// stall is what is known of one of them.
type stall struct {
	next     time.Time     // when the next message may try
	patience time.Duration // and how long its answer is waited for
}

// doubt is what is known of an exchange some of whose keys have stalled.
type doubt struct {
	keys int             // that stalled
	last time.Time       // when one did
	good map[string]bool // keys that had an answer since
}

// later is the stall after another message has tried, or begins to.
func (s stall) later() stall {
	s.next = time.Now().Add(max(stallPause, 2*s.patience))
	return s
}

// place is the destination that d's stall is noted at. s.mu is held.
func (s *stalls) place(d destination) destination {
	if d.queue == "" && s.known[d].patience == 0 {
		if x := s.exchanges[d.exchange]; x != nil && x.keys >= maxStalledKeys && !x.good[d.key] {
			return destination{exchange: d.exchange}
		}
	}
	return d
}

// admits reports whether a message may be published to d now. One that may try
// a stalled destination is the only one for a while.
func (s *stalls) admits(d destination) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.known) == 0 {
		return true
	}
	d = s.place(d)
	known, stalled := s.known[d]
	if !stalled {
		return true
	}
	if time.Now().Before(known.next) {
		return false
	}
	s.known[d] = known.later()
	return true
}

// patience is how long the answer for a destination is waited for that is
// stalled, or whose exchange has keys that are and which never had an answer
// itself; 0 for any other.
func (s *stalls) patience(d destination) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known := s.known[s.place(d)]; known.patience > 0 {
		return known.patience
	}
	if x := s.exchanges[d.exchange]; d.queue == "" && x != nil && !x.good[d.key] {
		return stallPatience
	}
	return 0
}

// add notes that nothing was confirmed for d, once more. patience is at most
// limit.
func (s *stalls) add(ctx context.Context, d destination, limit time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil {
		s.known, s.exchanges = make(map[destination]stall), make(map[string]*doubt)
	}
	if d.queue == "" {
		if s.exchanges[d.exchange] == nil {
			s.exchanges[d.exchange] = &doubt{good: make(map[string]bool)}
		}
		x := s.exchanges[d.exchange]
		delete(x.good, d.key)
		x.last = time.Now()
	}
	d = s.place(d)
	known, stalled := s.known[d]
	if !stalled {
		if len(s.known) >= maxStalls {
			return
		}
		if d.queue == "" {
			s.exchanges[d.exchange].keys++
		}
		s.log.WarnContext(ctx, "rabbitmq: the broker confirms nothing for a destination; its messages wait, others go on",
			"queue", d.queue, "exchange", d.exchange, "routing_key", d.key)
	}
	known.patience = min(max(stallPatience, 2*known.patience), limit)
	s.known[d] = known.later()
}

// answered forgets the stalls of messages that got an answer.
func (s *stalls) answered(ctx context.Context, indexes []int, to func(int) destination, out []core.Outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.known)+len(s.exchanges) == 0 {
		return
	}
	for _, i := range indexes {
		if out[i].Status == core.Unknown {
			continue
		}
		d := to(i)
		at := s.place(d)
		if _, stalled := s.known[at]; stalled {
			delete(s.known, at)
			s.log.InfoContext(ctx, "rabbitmq: a destination is confirmed again", "queue", d.queue, "exchange", d.exchange, "routing_key", d.key)
		}
		if x := s.exchanges[d.exchange]; d.queue == "" && x != nil {
			s.trust(d, x)
		}
	}
}

// trust notes that a key of an exchange in doubt had an answer. s.mu is held.
func (s *stalls) trust(d destination, x *doubt) {
	if len(x.good) < maxGoodKeys {
		x.good[d.key] = true
	}
	if time.Since(x.last) < stallOver {
		return
	}
	delete(s.exchanges, d.exchange)
	for known := range s.known {
		if known.queue == "" && known.exchange == d.exchange {
			delete(s.known, known)
		}
	}
}

// queues lists the stalled queues whose next try is not due yet.
func (s *stalls) queues() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for d, known := range s.known {
		if d.queue != "" && time.Now().Before(known.next) {
			names = append(names, d.queue)
		}
	}
	return names
}
