//go:build unix

package accounting_test

import (
	"context"
	"maps"
	"sync"

	"github.com/ackbox/ackbox"
)

// calls is a handler that counts its calls, by the job's id.
type calls struct {
	// do is what Consume does; nil returns nil.
	do func(context.Context, ackbox.Job) error

	mu            sync.Mutex
	consume, fail map[string]int
	now, atOnce   map[string]int
}

func newCalls(do func(context.Context, ackbox.Job) error) *calls {
	return &calls{do: do, consume: map[string]int{}, fail: map[string]int{}, now: map[string]int{}, atOnce: map[string]int{}}
}

// Consume implements handler.Handler.
func (c *calls) Consume(ctx context.Context, job ackbox.Job) error {
	c.enter(job.ID)
	defer c.leave(job.ID)
	if c.do == nil {
		return nil
	}
	return c.do(ctx, job)
}

// FailAction implements handler.Handler.
func (c *calls) FailAction(_ context.Context, job ackbox.Job, _ error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fail[job.ID]++
	return nil
}

func (c *calls) enter(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.consume[id]++
	c.now[id]++
	c.atOnce[id] = max(c.atOnce[id], c.now[id])
}

func (c *calls) leave(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now[id]--
}

// count is what happened to one job.
type count struct{ consume, fail, atOnce int }

func (c *calls) of(id string) count {
	c.mu.Lock()
	defer c.mu.Unlock()
	return count{c.consume[id], c.fail[id], c.atOnce[id]}
}

// running is how many calls of Consume are going on.
func (c *calls) running() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for now := range maps.Values(c.now) {
		n += now
	}
	return n
}

// until blocks until open is closed or ctx ends.
func until(ctx context.Context, open <-chan struct{}) error {
	select {
	case <-open:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
