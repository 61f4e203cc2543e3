package outbox

import "sync"

// size is how large the next claims are, in rows and in bytes. One that met its
// deadline is halved, down to a single job, and grows again with claims that were
// quick. Safe for concurrent use.
type size struct {
	mu          sync.Mutex
	rows, bytes int // 0: as the caller says
}

// next returns how much the next claim may take of what is wanted.
func (z *size) next(rows, bytes int) (int, int) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.rows > 0 {
		rows = min(rows, z.rows)
	}
	if z.bytes > 0 {
		bytes = min(bytes, z.bytes)
	}
	return rows, bytes
}

// late notes that a claim of that size met its deadline.
func (z *size) late(rows, bytes int) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.rows, z.bytes = max(1, rows/2), max(1, bytes/2)
}

// quickShare of a deadline is what a claim may take that is doubled.
const quickShare = 4

// good notes that a claim of so many rows brought so many jobs, whether its bytes
// have cut it off, and whether it was quick.
func (z *size) good(rows, jobs int, cut, quick bool) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if quick && (cut || jobs == rows) {
		z.bytes *= 2
		z.rows *= 2
	}
	if cut { // what does not go needs no lock
		z.rows = max(rows/2, 2*jobs)
	}
}
