package dispatcher

import (
	"sync"
	"time"
)

// trouble bounds how often failing batches are told: the first of an outage, then one
// a minute. The zero value is ready; safe for concurrent use.
type trouble struct {
	mu   sync.Mutex
	n    int // since the last batch that did not fail
	last time.Time
}

const troubleNotice = time.Minute

// failed notes a failure, and returns how many there were since all was well and
// whether that is to be told.
func (t *trouble) failed() (n int, tell bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.n++
	if t.n > 1 && time.Since(t.last) < troubleNotice {
		return t.n, false
	}
	t.last = time.Now()
	return t.n, true
}

// over notes that a batch came through.
func (t *trouble) over() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.n = 0
}
