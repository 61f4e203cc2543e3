package dispatcher

import (
	"sync"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
)

// refusing are the queues that refuse whatever comes, as full ones do. Their jobs are
// left alone for a while, so that a million of them cost a batch for each pause and
// not a publish and a row's update each. The zero value is empty; safe for concurrent
// use.
type refusing struct {
	mu     sync.Mutex
	queues map[string]refusal
}

// refusal is how a queue has refused.
type refusal struct {
	pause time.Duration // the last one
	until time.Time
}

// A queue may be free again in a moment: its first pause is short, the last one still is.
const (
	minRefusal = time.Second
	maxRefusal = 30 * time.Second
)

// learn notes what became of a batch. A queue that refused all that was published
// straight to it is paused; one that took a message is not, any more. A message that is
// refused for what it is (too large) tells nothing about its queue. What goes by an
// exchange tells nothing about the queue, and events have none.
func (r *refusing) learn(jobs []ackbox.Job, outcomes []core.Outcome) {
	refused, took := make(map[string]bool), make(map[string]bool)
	for i := range min(len(jobs), len(outcomes)) {
		if jobs[i].Queue == "" || jobs[i].Exchange != "" {
			continue
		}
		switch outcomes[i].Status {
		case core.Acked:
			took[jobs[i].Queue] = true
		case core.NackedByBroker, core.Returned:
			if !outcomes[i].OfMessage {
				refused[jobs[i].Queue] = true
			}
		default:
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for queue := range took {
		delete(r.queues, queue)
		delete(refused, queue)
	}
	now := time.Now()
	for queue := range refused {
		last := r.queues[queue]
		if now.Before(last.until) {
			continue // claimed before that was known
		}
		if r.queues == nil {
			r.queues = make(map[string]refusal)
		}
		pause := min(max(minRefusal, 2*last.pause), maxRefusal)
		r.queues[queue] = refusal{pause: pause, until: now.Add(pause)}
	}
}

// paused lists the queues that are to be left alone now.
func (r *refusing) paused() (queues []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	for queue, last := range r.queues {
		switch {
		case now.Before(last.until):
			queues = append(queues, queue)
		case now.Sub(last.until) > 10*maxRefusal:
			delete(r.queues, queue) // nothing is due for it any more
		}
	}
	return queues
}
