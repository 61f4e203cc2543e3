package rabbitmq

import (
	"log/slog"
	"sync"
	"time"
)

// refusals remembers which retry queues the broker refuses to declare, so that it is not
// asked with every message, and says so once. There are at most as many as queues times
// rungs.
type refusals struct {
	log   *slog.Logger
	pause time.Duration // before one is asked again

	mu    sync.Mutex
	known map[string]refusal
}

type refusal struct {
	reason string
	next   time.Time // of the next try
}

// fresh reports that queue was refused and is not to be asked yet.
func (r *refusals) fresh(queue string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Now().Before(r.known[queue].next)
}

// note takes down that queue is refused because of err.
func (r *refusals) note(queue string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	reason := err.Error()
	if r.known[queue].reason != reason {
		r.log.Warn("rabbitmq: the broker refuses a retry queue; what would wait there waits as long as another one says",
			"queue", queue, "retry_every", r.pause, "error", err)
	}
	if r.known == nil {
		r.known = make(map[string]refusal)
	}
	r.known[queue] = refusal{reason: reason, next: time.Now().Add(r.pause)}
}

// clear forgets that queue was refused.
func (r *refusals) clear(queue string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.known[queue]; !ok {
		return
	}
	delete(r.known, queue)
	r.log.Info("rabbitmq: a retry queue is declared again", "queue", queue)
}
