package dispatcher

import (
	"sync"
	"time"
)

// trouble knows what fails, and bounds how often it is told: the first batch of an outage,
// then one a minute. The zero value is ready; safe for concurrent use.
type trouble struct {
	mu   sync.Mutex
	n    int // since the last batch that did not fail
	last time.Time
	err  error // the latest
	// waiting are how many lanes wait for the broker, since when one does.
	waiting int
	since   time.Time
}

const troubleNotice = time.Minute

// failed notes a failure, and returns how many there were since all was well and
// whether that is to be told.
func (t *trouble) failed(err error) (n int, tell bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.n++
	t.err = err
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
	t.n, t.err = 0, nil
}

// wait notes that a lane waits for the broker, until the returned function is called.
func (t *trouble) wait() (came func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.waiting++; t.waiting == 1 {
		t.since = time.Now()
	}
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.waiting--
	}
}

// waits reports for how long the broker has been waited for; 0 if it is not.
func (t *trouble) waits() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.waiting == 0 {
		return 0
	}
	return time.Since(t.since)
}

// present is what the last batch failed of, nil if it came through.
func (t *trouble) present() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.err
}
