//go:build unix

package accounting_test

import (
	"context"
	"slices"
	"sync"

	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/rabbitmq"
)

// prefetch is a worker's broker that notes what comes in. With a first, it keeps
// everything else back until that one has its slot: which of several messages that
// went back comes first is the broker's affair.
type prefetch struct {
	*rabbitmq.Broker
	first   string          // a job's id, or none
	started <-chan struct{} // receives each time first has its slot

	mu sync.Mutex
	in map[string][]int // by id: the returns that the broker had counted
}

func newPrefetch(mq *rabbitmq.Broker, first string, started <-chan struct{}) *prefetch {
	return &prefetch{Broker: mq, first: first, started: started, in: map[string][]int{}}
}

// Consume implements worker.Broker.
func (p *prefetch) Consume(ctx context.Context, queue string, n int, handle func(core.Delivery)) error {
	free := make(chan struct{})
	if p.first == "" {
		close(free)
	} else {
		for len(p.started) > 0 {
			<-p.started // of the last subscription
		}
		var held sync.WaitGroup
		defer held.Wait()
		held.Go(func() {
			defer close(free)
			select {
			case <-p.started:
			case <-ctx.Done():
			}
		})
	}
	var passed sync.WaitGroup
	defer passed.Wait()
	return p.Broker.Consume(ctx, queue, n, func(d core.Delivery) {
		p.note(d)
		if d.ID == p.first {
			handle(d)
			return
		}
		passed.Go(func() { <-free; handle(d) })
	})
}

func (p *prefetch) note(d core.Delivery) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.in[d.ID] = append(p.in[d.ID], d.Returns)
}

// came is how often a message came in.
func (p *prefetch) came(id string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.in[id])
}

func (p *prefetch) returns(id string) []int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.in[id])
}
