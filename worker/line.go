package worker

import "sync"

// line is where the deliveries of one queue wait for one of its slots. The broker's
// prefetch bounds how many that are. What is in it has not started: whoever takes a
// delivery out has it alone. Safe for concurrent use.
type line struct {
	mu      sync.Mutex
	came    sync.Cond
	waiting []*hand
	most    int // slots
	slots   int // goroutines that there are for them
	idle    int // of those, what waits for a delivery
	closed  bool
}

func newLine(slots int) *line {
	l := &line{most: slots}
	l.came.L = &l.mu
	return l
}

// push adds h. more says that a goroutine is missing for it; refused that the line
// is closed.
func (l *line) push(h *hand) (more, refused bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false, true
	}
	l.waiting = append(l.waiting, h)
	if len(l.waiting) <= l.idle {
		l.came.Signal()
		return false, false
	}
	if l.slots == l.most {
		return false, false
	}
	l.slots++
	return true, false
}

// pop waits for a delivery. It returns nil when the line is closed.
func (l *line) pop() *hand {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.waiting) == 0 {
		if l.closed {
			return nil
		}
		l.idle++
		l.came.Wait()
		l.idle--
	}
	h := l.waiting[0]
	l.waiting[0] = nil
	if l.waiting = l.waiting[1:]; len(l.waiting) == 0 {
		l.waiting = nil
	}
	return h
}

// takeOut removes those of which out says yes, and returns them.
func (l *line) takeOut(out func(h *hand) bool) (list []*hand) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var stay []*hand
	for _, h := range l.waiting {
		if out(h) {
			list = append(list, h)
		} else {
			stay = append(stay, h)
		}
	}
	l.waiting = stay
	return list
}

// remove removes h, and reports whether it still waited.
func (l *line) remove(h *hand) bool {
	return len(l.takeOut(func(other *hand) bool { return other == h })) > 0
}

// close ends the line and returns who was in it.
func (l *line) close() []*hand {
	l.mu.Lock()
	l.closed = true
	l.came.Broadcast()
	l.mu.Unlock()
	return l.takeOut(func(*hand) bool { return true })
}

// free returns how many more deliveries could start at once.
func (l *line) free() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.most - l.slots + l.idle - len(l.waiting)
}
