package outbox

import (
	"sync"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
)

// wire is what this process knows of the rows that its own dispatcher holds
// locked while their batch is on the wire.
//
// A worker in the same process is often done with a job before that batch is
// recorded. Its outcome would find the row locked, come back Busy, and cost a
// second UPDATE of the same row a moment later. Told here instead, it is
// recorded by the batch itself: the row goes from pending to done in one step.
// Nothing rests on it: what is forgotten here is asked of the table again.
//
// Safe for concurrent use.
type wire struct {
	mu sync.Mutex
	// out are the tries on the wire, and whether a worker has reported them done.
	out map[try]bool
	// done are those committed as done, until the worker that reported them has
	// been told.
	done map[try]struct{}
}

// maxTold bounds the memory for workers that never ask again.
const maxTold = 100_000

// claimed notes that jobs are locked by this process.
func (w *wire) claimed(jobs []ackbox.Job) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.out == nil {
		w.out = make(map[try]bool, len(jobs))
	}
	for i := range jobs {
		if jobs[i].Ledger != "" {
			w.out[try{jobs[i].ID, jobs[i].Attempt}] = false
		}
	}
}

// settle makes those settlements Done that a worker has reported, and closes the
// batch for reports: whatever its commit brings, they cannot be a part of it.
func (w *wire) settle(batch []settlement) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range batch {
		key := try{batch[i].job.ID, batch[i].job.Attempt}
		if w.out[key] {
			batch[i].to = core.Transition{ID: key.id, Attempt: key.attempt, To: ackbox.Done}
		}
		delete(w.out, key)
	}
}

// committed notes that a batch is durable, and reports whether somebody waits for
// that.
func (w *wire) committed(batch []settlement) (awaited bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.done == nil || len(w.done) > maxTold {
		w.done = make(map[try]struct{})
	}
	for i := range batch {
		if batch[i].to.To == ackbox.Done {
			w.done[try{batch[i].job.ID, batch[i].job.Attempt}] = struct{}{}
			awaited = true
		}
	}
	return awaited
}

// forget drops what is left of jobs, whose batch has ended in whatever way.
func (w *wire) forget(jobs []ackbox.Job) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range jobs {
		delete(w.out, try{jobs[i].ID, jobs[i].Attempt})
	}
}

// Released returns a channel that receives after a batch was committed that has
// recorded announced outcomes as done. It only saves asking in vain; with several
// receivers each signal reaches one of them.
func (s *Store) Released() <-chan struct{} { return s.released }

// Announce tells that [Store.Finish] will be called with t. If t is a plain Done
// and the job's batch is on the wire in this process right now, the batch
// records it. It costs no I/O and promises nothing: Finish has to be called all
// the same, and says what was recorded. Safe for concurrent use.
func (s *Store) Announce(t core.Transition) {
	if t.To != ackbox.Done || t.Error != "" {
		return
	}
	s.wire.mu.Lock()
	defer s.wire.mu.Unlock()
	key := try{t.ID, t.Attempt}
	if _, ok := s.wire.out[key]; ok {
		s.wire.out[key] = true
	}
}

// report answers for transitions whose rows are, or just were, on the wire of
// this process. It returns the indexes of the others, which the table has to be
// asked for.
func (w *wire) report(transitions []core.Transition, verdicts []core.Verdict) (others []int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, t := range transitions {
		key := try{t.ID, t.Attempt}
		if t.To == ackbox.Done && t.Error == "" {
			if _, ok := w.out[key]; ok {
				w.out[key] = true
				verdicts[i] = core.Busy
				continue
			}
			if _, ok := w.done[key]; ok {
				delete(w.done, key)
				verdicts[i] = core.Recorded
				continue
			}
		}
		others = append(others, i)
	}
	return others
}
