package worker

import (
	"context"
	"errors"
	"fmt"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
)

// starts asks the ledger, for deliveries that have a slot, whether they may start.
// What gathers while one call is under way goes in the next.
type starts struct {
	*shift
	in     chan *question
	closed chan struct{} // when nobody asks any more
}

type question struct {
	job    ackbox.Job
	answer chan answer // has room for it
}

type answer struct {
	standing core.Standing
	err      error
}

func newStarts(s *shift) *starts {
	return &starts{shift: s, in: make(chan *question), closed: make(chan struct{})}
}

// errNotAsked says that the ledger was not asked, because the worker stops.
var errNotAsked = errors.New("worker: stopping")

// ask asks once for job. After an error other than errNotAsked the start may be on
// record all the same.
func (s *starts) ask(job ackbox.Job) (core.Standing, error) {
	if s.isStopping() {
		return core.Standing{}, errNotAsked
	}
	q := &question{job: job, answer: make(chan answer, 1)}
	select {
	case s.in <- q:
	case <-s.stopping:
		return core.Standing{}, errNotAsked
	}
	select {
	case a := <-q.answer:
		return a.standing, a.err
	case <-s.closed:
		return core.Standing{}, errors.New("worker: no answer of the ledger before the end")
	}
}

// maxStarts bounds one call.
const maxStarts = 500

// run asks until ctx ends.
func (s *starts) run(ctx context.Context) {
	defer close(s.closed)
	for {
		select {
		case <-ctx.Done():
			return
		case q := <-s.in:
			s.askFor(ctx, s.gather(q))
		}
	}
}

// gather returns first and what else waits to be asked.
func (s *starts) gather(first *question) []*question {
	list := []*question{first}
	for len(list) < maxStarts {
		select {
		case q := <-s.in:
			list = append(list, q)
		default:
			return list
		}
	}
	return list
}

func (s *starts) askFor(ctx context.Context, list []*question) {
	ctx, cancel := context.WithTimeout(ctx, ledgerTimeout)
	defer cancel()
	jobs := make([]ackbox.Job, len(list))
	for i, q := range list {
		jobs[i] = q.job
	}
	standings, err := s.ledger.Start(ctx, s.heart.ID(), jobs)
	if err == nil && len(standings) != len(list) {
		err = fmt.Errorf("worker: the ledger returned %d standings for %d jobs", len(standings), len(list))
	}
	for i, q := range list {
		if err != nil {
			q.answer <- answer{err: err}
		} else {
			q.answer <- answer{standing: standings[i]}
		}
	}
}
