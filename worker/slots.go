package worker

import (
	"context"

	"golang.org/x/sync/errgroup"
)

// slots are the goroutines of one queue in which its jobs run. They are kept from job
// to job: one for each would grow a new stack each time.
type slots struct {
	line *line
	next *admission
	all  errgroup.Group
}

// wait has h wait for a slot. It does not wait itself, and reports false when the
// line is closed.
func (s *slots) wait(work context.Context, h *hand) bool {
	more, refused := s.line.push(h)
	if more {
		s.all.Go(func() error { s.serve(work); return nil })
	}
	return !refused
}

// close lets nothing start any more and gives back what waits.
func (s *slots) close(work context.Context) {
	for _, h := range s.line.close() {
		s.next.outcomes.notStarted(work, h)
	}
}

// serve handles what waits, one after the other, until the line is closed.
func (s *slots) serve(work context.Context) {
	over := false
	defer func() {
		if !over { // a handler has ended the goroutine: another one takes over
			s.all.Go(func() error { s.serve(work); return nil })
		}
	}()
	for h := s.line.pop(); h != nil; h = s.line.pop() {
		s.next.admit(work, h)
	}
	over = true
}
