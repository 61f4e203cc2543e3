package dispatcher

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
)

// quietShare is by how much smaller a batch of the quiet lane is: it is to be
// quick.
const quietShare = 8

// quietLane carries jobs of other queues than the full batches on the wire have.
// While a backlog of one queue keeps every lane busy, one after the other full of
// it, a job of another would wait until the next of them is free. It costs nothing
// as long as no batch is full. It ends with ctx.
func (d *Dispatcher) quietLane(ctx context.Context, turn chan *pace, wake <-chan struct{}) {
	own := &pace{interval: d.cfg.PollInterval}
	trouble := time.Duration(0)
	for d.crowd.await(ctx) && own.wait(ctx, wake) {
		var p *pace
		select {
		case <-ctx.Done():
			return
		case p = <-turn:
		}
		pass := sync.OnceFunc(func() { turn <- p })
		var err error
		if busy := d.crowd.queues(); len(busy) > 0 {
			err = d.batch(ctx, own, core.Claim{Limit: max(1, d.cfg.BatchSize/quietShare), Except: busy}, pass)
		}
		pass()
		switch {
		case errors.Is(err, ackbox.ErrClosed):
			return // the lanes say so
		case err == nil || ctx.Err() != nil:
			trouble = 0
			continue
		}
		trouble = min(max(minTrouble, 2*trouble), maxTrouble)
		d.failed(ctx, err, trouble)
		sleep(ctx, jitter(trouble))
	}
}

// crowd are the queues that full batches on the wire have much of. The zero value
// is empty; safe for concurrent use.
type crowd struct {
	mu      sync.Mutex
	batches map[string]int // by queue
	came    chan struct{}  // closed when the first comes; nil while somebody is there
}

// enter adds the queues that have their share of a full batch, until leave.
func (c *crowd) enter(jobs []ackbox.Job) (leave func()) {
	counts := make(map[string]int)
	for i := range jobs {
		counts[jobs[i].Queue]++
	}
	share := len(jobs) / len(counts)
	c.add(counts, share, 1)
	return func() { c.add(counts, share, -1) }
}

func (c *crowd) add(counts map[string]int, share, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.batches == nil {
		c.batches = make(map[string]int)
	}
	for queue, jobs := range counts {
		if jobs < share {
			continue
		}
		if c.batches[queue] += n; c.batches[queue] == 0 {
			delete(c.batches, queue)
		}
	}
	if len(c.batches) > 0 && c.came != nil {
		close(c.came)
		c.came = nil
	}
}

// queues lists them.
func (c *crowd) queues() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	names := make([]string, 0, len(c.batches))
	for name := range c.batches {
		names = append(names, name)
	}
	return names
}

// await waits until somebody is there, and reports false if ctx ended first.
func (c *crowd) await(ctx context.Context) bool {
	c.mu.Lock()
	if len(c.batches) > 0 {
		c.mu.Unlock()
		return ctx.Err() == nil
	}
	if c.came == nil {
		c.came = make(chan struct{})
	}
	came := c.came
	c.mu.Unlock()
	select {
	case <-came:
		return true
	case <-ctx.Done():
		return false
	}
}
