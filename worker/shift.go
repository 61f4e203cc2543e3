package worker

import (
	"sync"
	"sync/atomic"

	"github.com/ackbox/ackbox/internal/beat"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/internal/hook"
	"github.com/ackbox/ackbox/internal/registry"
)

// setup is what a Worker was made of, and what it has counted and said.
type setup struct {
	ledger  Ledger
	broker  Broker
	cfg     Config
	entries map[string]entry
	kinds   []string // the keys of entries
	own     string   // the ledger's identity, once a Run knows it
	said    notices  // what was logged lately
	named   notices  // likewise, of what others have given names to
	count   counters
	hooks   *hook.List
}

// counters are those of [Stats].
type counters struct {
	done, retried, snoozed, dead, skipped, missing, strays, unknownKind atomic.Int64
}

// entry is what is registered for a kind, with the defaults of Config.
type entry = registry.Entry

// shift is what the steps of one Run share. It decides nothing.
type shift struct {
	*setup
	heart    *beat.Heart
	hands    *hands
	gates    map[string]*gate // by queue
	tries    failedTries
	suspect  sync.Mutex      // held while a job runs that may be the death of its process
	stopping <-chan struct{} // closed when nothing more is taken in
}

func newShift(s *setup, stopping <-chan struct{}) *shift {
	var queues []string
	for _, q := range s.cfg.Queues {
		queues = append(queues, q.Name)
	}
	n := &shift{setup: s, hands: newHands(), gates: make(map[string]*gate), stopping: stopping}
	for _, queue := range queues {
		n.gates[queue] = new(gate)
	}
	n.heart = beat.New(s.ledger, core.RoleWorker, queues, n.detail)
	n.heart.Stats = s.ledger
	return n
}

// isStopping reports whether nothing more is taken in.
func (s *shift) isStopping() bool {
	select {
	case <-s.stopping:
		return true
	default:
		return false
	}
}
