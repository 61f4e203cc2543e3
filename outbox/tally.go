package outbox

import (
	"sync"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
)

// tally is what this process has counted and not written yet. Safe for concurrent use.
type tally struct {
	mu     sync.Mutex
	counts map[tallied]*counts
	// places are the same by the names that jobs have, to be found at once.
	places map[tallied]*counts
	// pairs are the queues and kinds of the minute since which there was none but them.
	pairs map[pair]struct{}
	since int64
}

// tallied is a minute, since 1970, of one queue and kind.
type tallied struct {
	minute int64
	pair
}

type pair struct{ queue, kind string }

// counts are what a row of the statistics has.
type counts struct {
	Enqueued int64     `json:"enqueued"`
	Sent     int64     `json:"sent"`
	Refused  int64     `json:"refused"`
	Done     int64     `json:"done"`
	Failed   int64     `json:"failed"`
	Dead     int64     `json:"dead"`
	Wait     Histogram `json:"wait"`
	Run      Histogram `json:"run"`
}

const (
	// maxPairs is how many queues and kinds are told apart in a minute; strangers choose
	// the kinds of messages without a row.
	maxPairs = 500
	// maxTallied bounds what is kept for later if nothing can be written.
	maxTallied = 20_000
	// otherKind and otherQueue stand for what is not told apart.
	otherKind, otherQueue = "(other)", "(other)"
)

// relayed counts a batch that is committed.
func (t *tally) relayed(now time.Time, batch []settlement) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var of, first latest
	minute := minuteOf(now)
	for i := range batch {
		job, to := batch[i].job, batch[i].to.To
		p := pair{job.Queue, job.Kind}
		if isFirst(job) {
			first.at(t, minute, minuteOf(job.CreatedAt), p).Enqueued++
		}
		switch to {
		case ackbox.Sent, ackbox.Done: // a worker has it already
			c := of.at(t, minute, minute, p)
			c.Sent++
			c.Wait.add(job.Waited)
		case ackbox.Nacked, ackbox.Refused:
			of.at(t, minute, minute, p).Refused++
		case ackbox.Dead:
			c := of.at(t, minute, minute, p)
			c.Refused++
			c.Dead++
		default:
		}
	}
}

// isFirst reports whether nothing was recorded of a job before: whatever becomes of this
// batch is seen in one of these.
func isFirst(job *ackbox.Job) bool {
	return job.Attempt == 1 && job.Resend == 0 && job.PublishAttempt == 0 && job.AttemptsBefore == 0
}

// ran counts a handler's run.
func (t *tally) ran(now time.Time, r core.Ran) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var of latest
	minute := minuteOf(now)
	c := of.at(t, minute, minute, pair{r.Queue, r.Kind})
	switch r.To {
	case ackbox.Done:
		c.Done++
	case ackbox.Dead:
		c.Dead++
	default:
		c.Failed++
	}
	if r.For > 0 {
		c.Run.add(r.For)
	}
}

// latest remembers where the last job was counted: the next one is like it as a rule.
type latest struct {
	key    tallied
	counts *counts
}

// at returns where a queue and kind are counted in a minute. now is the minute of now.
func (l *latest) at(t *tally, now, minute int64, p pair) *counts {
	key := tallied{minute, p}
	if l.counts != nil && l.key == key {
		return l.counts
	}
	c := t.places[key]
	if c == nil {
		c = t.of(tallied{minute, t.known(now, p)})
		if t.places == nil || len(t.places) > 4*maxPairs {
			t.places = make(map[tallied]*counts)
		}
		t.places[key] = c
	}
	l.key, l.counts = key, c
	return c
}

// known returns p, or what stands for it if there are too many in this minute.
func (t *tally) known(now int64, p pair) pair {
	p = pair{nameText(p.queue), nameText(p.kind)}
	if t.pairs == nil || t.since != now {
		t.pairs, t.since = make(map[pair]struct{}), now
	}
	if _, ok := t.pairs[p]; ok {
		return p
	}
	switch n := len(t.pairs); {
	case n >= 2*maxPairs:
		return pair{otherQueue, otherKind}
	case n >= maxPairs:
		p.kind = otherKind
	}
	t.pairs[p] = struct{}{}
	return p
}

func (t *tally) of(key tallied) *counts {
	c := t.counts[key]
	if c == nil {
		if t.counts == nil {
			t.counts = make(map[tallied]*counts)
		}
		c = &counts{}
		t.counts[key] = c
	}
	return c
}

// take returns what was counted and begins anew.
func (t *tally) take() map[tallied]*counts {
	t.mu.Lock()
	defer t.mu.Unlock()
	taken := t.counts
	t.counts, t.places = nil, nil
	return taken
}

// giveBack keeps what could not be written for the next time, unless there is too much.
func (t *tally) giveBack(unwritten map[tallied]*counts) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.counts)+len(unwritten) > maxTallied {
		return
	}
	for key, c := range unwritten {
		t.of(key).add(c)
	}
}

func (c *counts) add(other *counts) {
	c.Enqueued += other.Enqueued
	c.Sent += other.Sent
	c.Refused += other.Refused
	c.Done += other.Done
	c.Failed += other.Failed
	c.Dead += other.Dead
	c.Wait.addAll(other.Wait)
	c.Run.addAll(other.Run)
}

// minuteOf is t's minute since 1970.
func minuteOf(t time.Time) int64 { return t.Unix() / 60 }
