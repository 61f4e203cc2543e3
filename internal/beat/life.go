package beat

import (
	"sync/atomic"

	"github.com/ackbox/ackbox"
)

// Life is whether a loop runs. The zero value is one that has not begun; safe for
// concurrent use.
type Life struct{ state atomic.Int32 }

const (
	running = iota + 1
	ended
)

// Begin notes that Run was called, and reports false if it runs already.
func (l *Life) Begin() bool { return l.state.Swap(running) != running }

// End notes that Run returns.
func (l *Life) End() { l.state.Store(ended) }

// Health is how a part is of which nothing else is known, and whether it runs.
func (l *Life) Health(part string) (h ackbox.Health, runs bool) {
	switch l.state.Load() {
	case running:
		return ackbox.Health{Part: part, Live: true, Ready: true}, true
	case ended:
		return ackbox.Health{Part: part, Why: "its Run has ended"}, false
	}
	return ackbox.Health{Part: part, Live: true, Why: "its Run was not called yet"}, false
}
