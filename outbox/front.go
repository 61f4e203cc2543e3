package outbox

import (
	"errors"
	"sync"
	"time"
)

const (
	// slowLook is what a look takes at least that has read more than it found.
	slowLook = 5 * time.Millisecond
	// slowLooks is how many of them in a row are no accident.
	slowLooks = 5
	// frontMargin is how far before the first row that was found short looks begin.
	// Rows of transactions that took no longer than that are seen by them.
	frontMargin = 10 * time.Second
	// Looks behind the front take a twentieth of the time, are never further apart
	// than maxPause, and all that is behind is read no more often than every minPause.
	minPause, maxPause = time.Second, 30 * time.Second
	backShare          = 20
	// A look behind that takes longer than longLook is made in parts. The first is
	// firstStep long; they double and halve to take about goodLook.
	longLook            = 250 * time.Millisecond
	goodLook            = 50 * time.Millisecond
	firstStep, lastStep = time.Minute, 365 * 24 * time.Hour
	minStep             = time.Millisecond
)

// span is a part of the times in an index: from is in it, to is not. A zero from
// is the beginning of all times, a zero to their end.
type span struct{ from, to time.Time }

// front is where the rows begin that statements look for in the order of their
// times. Rows that have left an index's state stay in it until they are vacuumed,
// which no row is that a transaction still open might see: a report that runs for
// an hour leaves all jobs of that hour there, and each look from the beginning
// would read all of those again, or in the end as many as its deadline allows.
//
// So after some slow looks the next ones begin shortly before the row that was
// found first, and after one that met its deadline shortly before the present:
// what is new flows without any knowledge of the front. What is older is looked
// for behind that, backwards through the times, in parts that are halved when
// they take too long and doubled when they are quick. A pass that has reached
// the beginning and was quick ends this: looks are whole again.
//
// An index that begins with another column, such as the queue, has a front for
// each of its values: the keys. A caller asks for a look behind first, then ahead,
// and reports each to looked. Safe for concurrent use.
type front struct {
	mu    sync.Mutex
	short bool
	slow  int                  // whole looks in a row that were
	since map[string]time.Time // where the looks of a key begin, the database's time
	rest  time.Time            // the same for all other keys

	back    span          // the part behind whose turn it is
	step    time.Duration // its length; 0 is all that is left
	due     time.Time     // when it is looked at, this process's time
	turned  bool          // the latest look was one behind: the next is not
	parts   int           // of this pass that were read
	spent   time.Duration // on them
	skipped bool          // a part that cannot be read in time
}

// look is what came of looking at some keys.
type look struct {
	keys  []string
	part  span                 // that was current when a look behind began
	now   time.Time            // the database's time when it began
	first map[string]time.Time // the first time found, of each key that had any
	full  bool                 // there may be more than was found
	took  time.Duration
	slow  bool // that is more than what was found explains
	err   error
}

// ahead returns where to look at key for what is on time.
func (f *front) ahead(key string) span {
	f.mu.Lock()
	defer f.mu.Unlock()
	return span{from: f.begin(key)}
}

// begin is zero for the beginning.
func (f *front) begin(key string) time.Time {
	if !f.short {
		return time.Time{}
	}
	if from, ok := f.since[key]; ok {
		return from
	}
	return f.rest
}

// part returns the part of all times behind whose turn it is.
func (f *front) part() span {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.back
}

// behind returns the part of key's times before what ahead returns that is to be
// looked at now, if any.
func (f *front) behind(key string) (span, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.short || f.turned || time.Now().Before(f.due) {
		return span{}, false
	}
	b, begin := f.back, f.begin(key)
	if begin.Before(b.to) {
		b.to = begin
	}
	return b, b.from.Before(b.to)
}

// looked notes what came of a look ahead.
func (f *front) looked(l look) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.turned = false
	switch {
	case timedOut(l.err):
		f.shorten(l.now)
		f.rest, f.step = l.now.Add(-frontMargin), firstStep
		f.open(l.now)
		return
	case l.err != nil:
		return
	case !f.short && !l.slow:
		f.slow = 0
	case !f.short:
		if f.slow++; f.slow >= slowLooks {
			f.shorten(l.now)
		}
	}
	if f.short {
		f.advance(l)
	}
}

// shorten makes looks short from now on. What is behind is read at once if it can.
func (f *front) shorten(now time.Time) {
	f.short, f.slow = true, 0
	f.since, f.rest = make(map[string]time.Time), time.Time{}
	f.step = 0
	f.pass(now, minPause)
}

// advance moves the fronts of the keys that were looked at.
func (f *front) advance(l look) {
	for _, key := range l.keys {
		from, found := l.first[key]
		switch {
		case found:
			from = from.Add(-frontMargin)
		case l.full: // it may not have come to that key
			continue
		default:
			from = l.now.Add(-frontMargin)
		}
		if from.After(f.begin(key)) {
			f.since[key] = from
		}
	}
}

// lookedBehind notes what came of a look behind.
func (f *front) lookedBehind(l look) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.turned = true
	if !f.short || l.part != f.back { // another call was faster
		return
	}
	late := timedOut(l.err)
	pause := min(backShare*l.took, maxPause)
	switch {
	case l.err != nil && !late:
		f.due = time.Now().Add(pause)
		return
	case late && f.step == minStep: // all of one moment: that part cannot be read
		f.skipped = true
		f.next(l.now, pause)
		return
	case late, l.full && l.took > longLook:
		f.shrink()
	case l.full:
		pause = 0
	default:
		f.parts++
		f.spent += l.took
		f.resize(l.took)
		f.next(l.now, pause)
		return
	}
	f.open(f.back.to)
	f.due = time.Now().Add(pause)
}

// resize fits the length of the parts to the time that the latest took.
func (f *front) resize(took time.Duration) {
	switch {
	case f.step == 0 && took > longLook, f.step > 0 && took > 2*goodLook:
		f.shrink()
	case f.step > 0 && took < goodLook/2:
		f.step *= 2
	}
}

func (f *front) shrink() {
	if f.step == 0 {
		f.step = firstStep
		return
	}
	f.step = max(f.step/2, minStep)
}

// next goes on to the part before the one that was read.
func (f *front) next(now time.Time, pause time.Duration) {
	if !f.back.from.IsZero() {
		f.open(f.back.from)
		f.due = time.Now().Add(pause)
		return
	}
	// The beginning is reached.
	if !f.skipped && f.spent <= time.Duration(f.parts)*slowLook {
		f.short, f.since = false, nil
		return
	}
	f.pass(now, min(max(minPause, backShare*f.spent), maxPause))
}

// pass begins to look behind anew, from the present.
func (f *front) pass(now time.Time, pause time.Duration) {
	f.parts, f.spent, f.skipped = 0, 0, false
	f.open(now)
	f.due = time.Now().Add(pause)
}

// open sets the part that ends at to.
func (f *front) open(to time.Time) {
	f.back = span{to: to}
	if f.step >= lastStep {
		f.step = 0
	}
	if f.step > 0 {
		f.back.from = to.Add(-f.step)
	}
}

// timedOut reports whether a statement met its deadline: ours, the network's, which
// the driver sets to ours, or the server's.
func timedOut(err error) bool {
	var e interface{ Timeout() bool }
	return errors.As(err, &e) && e.Timeout() || sqlState(err) == "57014"
}
