package outbox

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// window is a span of ages: how long ago, by the database's clock, something
// happened to a row. Young is in it, old is not.
type window struct{ young, old time.Duration }

// args are its ends in milliseconds; ages below zero are in the future.
func (w window) args() []any { return []any{w.young.Milliseconds(), w.old.Milliseconds()} }

const (
	// allAges is more than any row has.
	allAges = 100 * 365 * 24 * time.Hour
	// firstWindow is the length of the first window of a walk, minWindow the least.
	firstWindow = time.Minute
	minWindow   = time.Millisecond
)

// walk is how a sweep's statement gets past what it cannot read in time.
//
// Rows that have left an index's condition stay in it until they are vacuumed,
// which no row is that a transaction still open might see: beside a report that
// runs for hours an index begins with millions of dead entries, and a statement
// that reads it from there meets its deadline, now and for ever. So after such a
// failure the ages are read in windows, from the youngest backwards: windows that
// are read in time double, others are halved, and what cannot be read at all is
// left out until the next pass. A pass that was quick on the whole ends this.
//
// Claims do the same, see type front, but keep what is on time apart from what is
// behind, and share one front between the queues of a statement. Nothing is on
// time for a sweep, and each of its statements has one queue.
type walk struct {
	at    time.Duration // the age that the pass has come to
	step  time.Duration // the length of its windows
	most  int           // rows that one statement may change; 0 is no bound
	spent time.Duration // on this pass
	left  bool          // a window was left out, or read again with less
}

// walks are those that are under way, by what they are for. Statements that have
// none read all ages at once. Safe for concurrent use.
type walks struct {
	mu sync.Mutex
	by map[string]*walk
}

// next returns the window that is to be read for key of all those of whole, how
// many rows may be changed in it, and whether this is a walk.
func (ws *walks) next(key string, whole window, limit int) (window, int, bool) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	k := ws.by[key]
	if k == nil {
		return whole, limit, false
	}
	k.at = max(k.at, whole.young, 0)
	if k.most > 0 {
		limit = min(limit, k.most)
	}
	return window{k.at, min(k.at+k.step, whole.old)}, limit, true
}

// late notes that w could not be read in time.
func (ws *walks) late(key string, w window, took time.Duration) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	k := ws.by[key]
	switch {
	case k == nil:
		if ws.by == nil {
			ws.by = make(map[string]*walk)
		}
		ws.by[key] = &walk{step: firstWindow, most: MaxBatch / 2}
		return
	case k.at != w.young: // another call was faster
		return
	}
	k.left = true
	k.spent += took
	if k.step == minWindow && k.most == 1 {
		k.at = w.old
		return
	}
	k.step, k.most = max(k.step/2, minWindow), max(k.most/2, 1)
}

// read notes that w was read, and reports whether the pass has come to its end.
func (ws *walks) read(key string, w window, took, quick time.Duration) bool {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	k := ws.by[key]
	if k == nil || k.at != w.young {
		return k == nil
	}
	k.at, k.spent = w.old, k.spent+took
	k.step, k.most = min(2*k.step, allAges), min(2*k.most, MaxBatch)
	if w.old < allAges {
		return false
	}
	if !k.left && k.spent < quick {
		delete(ws.by, key)
		return true
	}
	*k = walk{step: firstWindow, most: k.most}
	return true
}

// restart lets the next window of key begin with the youngest ages again.
func (ws *walks) restart(key string) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if k := ws.by[key]; k != nil {
		k.at = 0
	}
}

// inWindows runs a statement that changes up to limit rows of some ages, and
// returns how many it has changed. Usually that is one statement for all ages.
// While these cannot be read at once it runs several, for about as long as one may
// take, and the next call goes on where this one ends.
func (s *Store) inWindows(ctx context.Context, key string, whole window, limit int, statement func(context.Context, window, int) (int, error)) (int, error) {
	total := 0
	for began := time.Now(); total < limit && time.Since(began) < s.cfg.StatementTimeout; {
		w, most, walking := s.walks.next(key, whole, limit-total)
		start := time.Now()
		n, err := statement(ctx, w, most)
		total += n
		switch {
		case err == nil && n >= most: // there may be more in it
			continue
		case err == nil:
			if s.walks.read(key, w, time.Since(start), s.cfg.StatementTimeout/4) {
				return total, nil
			}
			continue
		case !s.walkable(ctx, err):
			return total, err
		}
		s.walks.late(key, w, time.Since(start))
		if !walking {
			return total, fmt.Errorf("%w: from now on it is done in parts", err)
		}
	}
	return total, nil
}

// walkable reports whether a statement met its deadline, and might be more lucky
// with less to read.
func (s *Store) walkable(ctx context.Context, err error) bool {
	return timedOut(err) && ctx.Err() == nil && s.d.schemas
}
