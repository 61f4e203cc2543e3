package outbox

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// An error that is no deadline, and a quick look, change nothing.
func TestFrontStaysWhole(t *testing.T) {
	t.Parallel()
	var f front
	for range 20 {
		f.looked(look{keys: []string{"q"}, now: epoch, err: errors.New("down")})
		f.looked(look{keys: []string{"q"}, now: epoch, slow: true})
		f.looked(look{keys: []string{"q"}, now: epoch})
	}
	if got := f.ahead("q"); got != (span{}) {
		t.Errorf("looks begin at %v", got)
	}
	if _, ok := f.behind("q"); ok {
		t.Error("there is something behind a whole look")
	}
}

// After slow looks each key begins shortly before what was found of it, and what
// is behind is read now and then, until that is quick.
func TestFrontAfterSlowLooks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var f front
		found := epoch.Add(-time.Hour)
		slow := look{keys: []string{"old", "empty"}, now: epoch, first: map[string]time.Time{"old": found}, took: 40 * time.Millisecond, slow: true}
		for range slowLooks {
			f.looked(slow)
		}
		if got := f.ahead("old").from; !got.Equal(found.Add(-frontMargin)) {
			t.Errorf("looks begin at %v, want %v", got, found.Add(-frontMargin))
		}
		if got := f.ahead("empty").from; !got.Equal(epoch.Add(-frontMargin)) {
			t.Errorf("looks of a queue without jobs begin at %v", got)
		}
		if _, ok := f.behind("old"); ok {
			t.Error("the past is looked at at once")
		}
		time.Sleep(minPause)
		b, ok := f.behind("old")
		if !ok || !b.from.IsZero() || !b.to.Equal(found.Add(-frontMargin)) {
			t.Errorf("behind is %v, %v: want all before the front", b, ok)
		}
		f.lookedBehind(look{part: f.part(), now: epoch, took: 40 * time.Millisecond})
		time.Sleep(backShare * 40 * time.Millisecond / 2)
		if _, ok := f.behind("old"); ok {
			t.Error("the past is read more than a twentieth of the time")
		}
		time.Sleep(minPause)
		f.looked(look{keys: slow.keys, now: epoch, first: slow.first})
		if _, ok := f.behind("old"); !ok {
			t.Error("the past is not looked at again")
		}
		f.lookedBehind(look{part: f.part(), now: epoch, took: time.Millisecond})
		if got := f.ahead("old"); got != (span{}) {
			t.Errorf("looks begin at %v although all is read quickly", got)
		}
	})
}

// A full look says nothing about the queues that it has not come to.
func TestFrontOfQueuesNotSeen(t *testing.T) {
	t.Parallel()
	var f front
	for range slowLooks {
		f.looked(look{keys: []string{"a", "b"}, now: epoch, first: map[string]time.Time{"a": epoch}, full: true, slow: true})
	}
	if f.ahead("a").from.IsZero() || !f.ahead("b").from.IsZero() {
		t.Errorf("looks begin at %v and %v", f.ahead("a"), f.ahead("b"))
	}
}

// reading is an index of dead rows, so many of them in each second of its age, of
// which one look reads no more than it has time for.
type reading struct {
	dense, sparse int // in the latest hour, and before it
	age           time.Duration
}

const perRow, deadline = time.Microsecond, 100 * time.Millisecond

// look reads s.
func (r reading) look(s span) look {
	l := look{keys: []string{"q"}, now: epoch}
	to := s.to
	if to.IsZero() {
		to = epoch
	}
	rows := 0.0
	hour, begin := epoch.Add(-time.Hour), epoch.Add(-r.age)
	from := s.from
	if from.Before(begin) {
		from = begin
	}
	if d := to.Sub(maxTime(from, hour)); d > 0 {
		rows += d.Seconds() * float64(r.dense)
	}
	if d := minTime(to, hour).Sub(from); d > 0 {
		rows += d.Seconds() * float64(r.sparse)
	}
	l.took = time.Duration(rows * float64(perRow))
	if l.took > deadline {
		l.took, l.err = deadline, context.DeadlineExceeded
	}
	time.Sleep(l.took)
	return l
}

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func minTime(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// Where all cannot be read in time, what is new is found by the second look, and
// every moment of the past is read within a pass, most of it in time.
func TestFrontAfterADeadline(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]reading{
		"even":        {1000, 1000, 5 * time.Hour},
		"dense, long": {3000, 10, 100 * 24 * time.Hour},
		"young":       {9000, 0, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var f front
				f.looked(r.look(f.ahead("q")))
				ahead := f.ahead("q")
				if ahead.from.IsZero() || epoch.Sub(ahead.from) > time.Minute {
					t.Fatalf("after a deadline looks begin at %v", ahead)
				}
				began, read, late := time.Now(), ahead.from, 0
				for !read.IsZero() {
					if time.Since(began) > 2*time.Hour {
						t.Fatalf("after two hours the past is read down to %v before now, in steps of %v", epoch.Sub(read), f.step)
					}
					f.looked(r.look(f.ahead("q")))
					b, ok := f.behind("q")
					if !ok {
						time.Sleep(10 * time.Millisecond)
						continue
					}
					l := r.look(b)
					l.part = f.part()
					f.lookedBehind(l)
					switch {
					case l.err != nil:
						late++
					case !b.to.Equal(read):
						t.Fatalf("a part ends at %v, the one after it began at %v", b.to, read)
					default:
						read = b.from
					}
				}
				if late > 20 {
					t.Errorf("%d parts met the deadline", late)
				}
				t.Logf("a pass takes %v, %d parts met the deadline", time.Since(began), late)
				if f.ahead("q").from.IsZero() {
					t.Error("looks are whole again although the pass was long")
				}
				// The rows are vacuumed.
				r = reading{age: r.age}
				for began := time.Now(); f.short; {
					if time.Since(began) > 10*time.Minute {
						t.Fatal("looks do not become whole again")
					}
					f.looked(r.look(f.ahead("q")))
					if b, ok := f.behind("q"); ok {
						l := r.look(b)
						l.part = f.part()
						f.lookedBehind(l)
					}
					time.Sleep(10 * time.Millisecond)
				}
			})
		})
	}
}

// Of two looks at the same part behind one counts: none is passed over.
func TestFrontOfTwoDispatchers(t *testing.T) {
	t.Parallel()
	var f front
	f.looked(look{keys: []string{"q"}, now: epoch, err: context.DeadlineExceeded})
	part := f.part()
	for range 2 {
		f.lookedBehind(look{part: part, now: epoch, took: time.Millisecond})
	}
	if got := f.part(); !got.to.Equal(part.from) {
		t.Errorf("after %v it is the turn of %v", part, got)
	}
}

// What lies behind in number is taken without a pause, in turns with what is new.
func TestFrontDrainsWhatIsBehind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var f front
		f.looked(look{keys: []string{"q"}, now: epoch, err: context.DeadlineExceeded})
		time.Sleep(minPause)
		for range 50 {
			if _, ok := f.behind("q"); !ok {
				t.Fatal("a full part is not looked at again at once")
			}
			f.lookedBehind(look{part: f.part(), now: epoch, full: true, took: time.Millisecond})
			if _, ok := f.behind("q"); ok {
				t.Fatal("what is new has no turn")
			}
			f.looked(look{keys: []string{"q"}, now: epoch})
		}
	})
}
