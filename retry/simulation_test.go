package retry_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/retry"
)

// world is a jobs table, a broker queue and workers, in steps of one second of
// a clock that only the test moves. It keeps what no real system knows: where
// each copy of a job is.
type world struct {
	t     *testing.T
	rand  *rand.Rand
	now   time.Time
	jobs  []*simJob
	open  []*simJob // those not done
	queue []*simCopy
	held  [][]*simCopy // by worker
	// instance is the worker's, and dead since when one that has crashed is silent.
	instance []int
	dead     map[int]time.Time
	// toBack: requeued messages join the end of the queue, as RabbitMQ's quorum
	// queues without a delivery limit have it, and not its head.
	toBack bool
	// mute workers cannot reach the ledger, from and until then: for less than a
	// quarter of StuckAfter.
	muteFrom, mute []time.Time
	resent         int
	found          []time.Duration // how long lost jobs were lost
}

type simJob struct {
	id       int
	state    ackbox.State
	sent     time.Time
	seen     time.Time
	holder   int // the instance that has it in hand, by the ledger; 0 for none
	finished time.Time
	live     int // copies that are in the queue or held
	lost     time.Time
}

type simCopy struct {
	job   *simJob
	taken time.Time
	until time.Time // when its handler is done
}

const (
	simStuck = 10 * time.Minute
	simSweep = 30 * time.Second
	prefetch = 8
)

func newWorld(t *testing.T, seed1, seed2 uint64, workers int) *world {
	w := &world{
		t: t, rand: rand.New(rand.NewPCG(seed1, seed2)), now: epoch, held: make([][]*simCopy, workers), dead: make(map[int]time.Time),
		muteFrom: make([]time.Time, workers), mute: make([]time.Time, workers), instance: make([]int, workers),
	}
	for i := range w.instance {
		w.instance[i] = i + 1
	}
	return w
}

func (w *world) Beat(context.Context, core.Instance) (core.Census, error) { return core.Census{}, nil }

func (w *world) PurgeStats(context.Context, time.Duration, time.Duration, int) (int, error) {
	return 0, nil
}

func (w *world) Leave(context.Context, string) error { return nil }

func (w *world) Unattended(context.Context) ([]core.Unattended, error) { return nil, nil }

// TakeBack takes what waited there from instances that are silent. (What runs is sent
// again at once, and tells nothing about the sweep for lost jobs.)
func (w *world) TakeBack(context.Context, int) (int, error) {
	for i, id := range w.instance {
		if w.isMute(i) && w.now.Sub(w.muteFrom[i]) >= core.Silence {
			w.letGo(id)
		}
	}
	for id, since := range w.dead {
		if w.now.Sub(since) >= core.Silence {
			w.letGo(id)
			delete(w.dead, id)
		}
	}
	return 0, nil
}

// letGo is the end of what the ledger has on record for an instance.
func (w *world) letGo(id int) {
	for _, j := range w.open {
		if j.holder == id {
			j.holder, j.seen = 0, w.now
		}
	}
}

func (w *world) isMute(worker int) bool { return w.now.Before(w.mute[worker]) }

func (w *world) NackedQueues(context.Context) ([]string, error) { return nil, nil }

func (w *world) FinishedQueues(context.Context) ([]string, error) { return nil, nil }

func (w *world) Rearm(context.Context, string, int) (int, error) { return 0, nil }

func (w *world) Purge(context.Context, string, time.Duration, int) (int, error) { return 0, nil }

func (w *world) PurgeDead(context.Context, time.Duration, int) (int, error) { return 0, nil }

func (w *world) CarryOn(context.Context, int) (int, bool, error)                  { return 0, false, nil }
func (w *world) PurgeOperations(context.Context, time.Duration, int) (int, error) { return 0, nil }
func (w *world) PurgeInbox(context.Context, time.Duration, int) (int, error)      { return 0, nil }

func (w *world) Ages(context.Context) ([]core.QueueAge, error) {
	age := core.QueueAge{Queue: "q", Now: w.now}
	sent := false
	for _, j := range w.jobs {
		switch {
		case j.state == ackbox.Sent:
			sent = true
		case j.state == ackbox.Done && w.now.Sub(j.finished) < time.Hour && j.sent.After(age.Frontier):
			age.Frontier = j.sent
		}
	}
	if !sent {
		return nil, nil
	}
	return []core.QueueAge{age}, nil
}

// Resend checks invariant 7 on every job that it moves.
func (w *world) Resend(_ context.Context, _ string, before time.Time, idle time.Duration, limit int) (int, error) {
	n := 0
	for _, j := range w.jobs {
		if n == limit || j.state != ackbox.Sent || j.holder != 0 || !j.seen.Before(before) || !j.seen.Before(w.now.Add(-idle)) {
			continue
		}
		if j.live > 0 {
			w.t.Errorf("%v: job %d was resent, but a copy is alive (seen at %v, bound %v)", w.clock(w.now), j.id, w.clock(j.seen), w.clock(before))
		}
		w.found = append(w.found, w.now.Sub(j.lost))
		j.state = ackbox.Pending
		w.resent++
		n++
	}
	return n, nil
}

func (w *world) Waiting(context.Context, string) (int, error) {
	if w.rand.IntN(50) == 0 {
		return 0, errBase
	}
	return len(w.queue), nil
}

func (w *world) clock(t time.Time) time.Duration { return t.Sub(epoch) }

func (w *world) enqueue() {
	j := &simJob{id: len(w.jobs), state: ackbox.Pending}
	w.jobs, w.open = append(w.jobs, j), append(w.open, j)
}

// step is one second of dispatcher and workers.
func (w *world) step(service func() time.Duration) {
	w.now = w.now.Add(time.Second)
	w.open = slices.DeleteFunc(w.open, func(j *simJob) bool { return j.state == ackbox.Done })
	for _, j := range w.open {
		if j.state == ackbox.Pending {
			j.state, j.sent, j.seen = ackbox.Sent, w.now, w.now
			j.live++
			w.queue = append(w.queue, &simCopy{job: j})
		}
	}
	for i := range w.held {
		for len(w.queue) > 0 && len(w.held[i]) < prefetch {
			c := w.queue[0]
			w.queue = w.queue[1:]
			redelivered := !c.taken.IsZero()
			c.taken, c.until = w.now, w.now.Add(service())
			w.held[i] = append(w.held[i], c)
			if redelivered {
				// Heard at once, that is some time before the next second.
				w.hold(i, c)
			}
		}
		w.held[i] = slices.DeleteFunc(w.held[i], func(c *simCopy) bool {
			// One of a worker's slots finishes what was taken first.
			if w.now.Before(c.until) || w.isMute(i) {
				return false
			}
			c.job.live--
			if c.job.state == ackbox.Sent {
				c.job.state, c.job.finished = ackbox.Done, w.now
			}
			return true
		})
		for _, c := range w.held[i] {
			// New ones after a second, once; all of them when it can be heard again.
			if w.now.Sub(c.taken) == time.Second || w.now.Equal(w.mute[i]) {
				w.hold(i, c)
			}
		}
	}
}

func (w *world) hold(worker int, c *simCopy) {
	if !w.isMute(worker) && c.job.state == ackbox.Sent {
		c.job.holder, c.job.seen = w.instance[worker], w.now
	}
}

// crash makes a worker's copies return to the queue. Upon an orderly stop the ledger
// hears of them a last time. What comes next is another instance.
func (w *world) crash(worker int, orderly bool) {
	back := w.held[worker]
	w.held[worker] = nil
	if orderly && !w.isMute(worker) {
		for _, c := range back {
			w.hold(worker, c)
		}
		w.letGo(w.instance[worker])
	} else {
		w.dead[w.instance[worker]] = w.now
	}
	w.instance[worker] += len(w.instance)
	w.mute[worker] = time.Time{}
	if w.toBack {
		w.queue = append(w.queue, back...)
	} else {
		w.queue = append(back, w.queue...)
	}
}

// wipe loses every copy in the queue.
func (w *world) wipe() {
	for _, c := range w.queue {
		w.lose(c.job)
	}
	w.queue = nil
}

func (w *world) lose(j *simJob) {
	if j.live--; j.live == 0 {
		j.lost = w.now
	}
}

func TestSimulatedLife(t *testing.T) {
	t.Parallel()
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, seed, 7, 3)
			w.toBack = seed%2 == 1
			sweepers := make([]*retry.Sweeper, 1+seed%3)
			for i := range sweepers {
				sweepers[i] = newSweeper(t, w, w, retry.Config{StuckAfter: simStuck})
			}
			const hours = 6
			slow := false
			for second := range hours * 3600 {
				calm := second > (hours-2)*3600 // nothing bad any more: all must end well
				if second%1200 == 0 {
					slow = w.rand.IntN(3) == 0 && !calm // a backlog of more than StuckAfter builds up
				}
				if !calm && w.rand.IntN(6) == 0 {
					w.enqueue()
				}
				w.step(func() time.Duration {
					if slow {
						return time.Duration(w.rand.IntN(600)) * time.Second
					}
					return time.Duration(w.rand.IntN(12)) * time.Second
				})
				if !calm {
					w.mishap()
				}
				_, _ = w.TakeBack(t.Context(), 0)
				for i, s := range sweepers {
					if (second+7*i)%int(simSweep/time.Second) == 0 {
						_, _ = s.Resend(t.Context()) // errors: the broker's, on purpose
					}
				}
			}
			for _, j := range w.jobs {
				if j.state != ackbox.Done {
					t.Errorf("job %d is %s in the end", j.id, j.state)
				}
			}
			t.Logf("%d jobs, %d lost and resent, found after %v at most", len(w.jobs), w.resent, slices.Max(append(w.found, 0)))
		})
	}
}

func (w *world) mishap() {
	switch w.rand.IntN(1500) {
	case 0:
		w.wipe()
	case 1, 2:
		// Within a second of intake nothing is on record: see package worker.
		if worker := w.rand.IntN(len(w.held)); !slices.ContainsFunc(w.held[worker], func(c *simCopy) bool { return w.now.Sub(c.taken) < time.Second }) {
			w.crash(worker, false)
		}
	case 3, 4:
		w.crash(w.rand.IntN(len(w.held)), true)
	case 5, 6:
		if worker := w.rand.IntN(len(w.held)); !w.isMute(worker) {
			w.muteFrom[worker], w.mute[worker] = w.now, w.now.Add(simStuck/4-2*time.Second)
		}
	}
}

// A job that is lost while all is well is found in time.
func TestSimulatedLossIsFoundInTime(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		w := newWorld(t, seed, 8, 2)
		s := newSweeper(t, w, w, retry.Config{StuckAfter: simStuck})
		lossAt := 1800 + w.rand.IntN(3600)
		for second := range 3 * 3600 {
			if w.rand.IntN(4) == 0 {
				w.enqueue()
			}
			if second == lossAt {
				w.enqueue()
				w.now = w.now.Add(-time.Second)
				held := w.held
				w.held = nil // so that the new one stays in the queue
				w.step(nil)
				w.held = held
				w.wipe()
			}
			w.step(func() time.Duration { return time.Duration(w.rand.IntN(4)) * time.Second })
			if second%int(simSweep/time.Second) == 0 {
				_, _ = s.Resend(t.Context())
			}
		}
		if len(w.found) == 0 {
			t.Errorf("seed %d: the lost job was never found", seed)
		}
		for _, d := range w.found {
			if d > 3*simStuck/2+4*simSweep {
				t.Errorf("seed %d: found after %v", seed, d)
			}
		}
	}
}
