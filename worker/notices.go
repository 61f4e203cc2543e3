package worker

import (
	"sync"
	"time"
)

// notices bounds how often the same is logged. The zero value is ready; safe for
// concurrent use.
type notices struct {
	mu   sync.Mutex
	last map[string]time.Time
}

const (
	noticeInterval = time.Minute
	maxNotices     = 100 // strangers choose what is in it
)

// fresh reports whether what has not been logged for a while, and notes that it is
// now.
func (n *notices) fresh(what string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := time.Now()
	for key, at := range n.last {
		if now.Sub(at) >= noticeInterval {
			delete(n.last, key)
		}
	}
	if _, ok := n.last[what]; ok || len(n.last) == maxNotices {
		return false
	}
	if n.last == nil {
		n.last = make(map[string]time.Time)
	}
	n.last[what] = now
	return true
}
