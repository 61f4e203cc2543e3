package worker

import (
	"context"
	"slices"
	"sync"
)

// gate says whether a queue is consumed, or is to stand still because people have paused
// it. The zero value is open; safe for concurrent use.
type gate struct {
	mu     sync.Mutex
	shut   bool
	turned chan struct{} // closed with the next change
}

// set opens or shuts it, and reports whether that is a change.
func (g *gate) set(shut bool) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut == shut {
		return false
	}
	g.shut = shut
	if g.turned != nil {
		close(g.turned)
		g.turned = nil
	}
	return true
}

// state tells whether it is shut, and by what to know that this changes.
func (g *gate) state() (shut bool, turned <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.turned == nil {
		g.turned = make(chan struct{})
	}
	return g.shut, g.turned
}

func (g *gate) isShut() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.shut
}

// await waits until it is open, and reports false if ctx ended first. turned is closed when
// it is open no more.
func (g *gate) await(ctx context.Context) (turned <-chan struct{}, ok bool) {
	for {
		shut, turned := g.state()
		if !shut {
			return turned, ctx.Err() == nil
		}
		select {
		case <-turned:
		case <-ctx.Done():
			return nil, false
		}
	}
}

// pause shuts the gates of the queues that are paused, and opens the others.
func (s *shift) pause(ctx context.Context, paused []string) {
	for queue, gate := range s.gates {
		shut := slices.Contains(paused, queue)
		switch {
		case !gate.set(shut):
		case shut:
			s.cfg.Logger.InfoContext(ctx, "worker: a queue is paused; what waits goes back, what runs goes on", "queue", queue)
		default:
			s.cfg.Logger.InfoContext(ctx, "worker: a queue goes on", "queue", queue)
		}
	}
}
