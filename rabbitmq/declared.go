package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/ackbox/ackbox"
)

const (
	// maxAsking bounds how many declarations are on their way at once.
	maxAsking = 8
	// askPatience is how long an entity's answer is waited for before it counts
	// as missing; the declaration itself goes on.
	askPatience = 500 * time.Millisecond
)

// declarations know what of the topology is there. There is no goroutine that
// keeps them: whoever needs an entity has those declared that are due, each in a
// goroutine of its own, and waits for the ones that it needs. Safe for
// concurrent use.
type declarations struct {
	entities
	// ask declares one entity, and calls began when it has a connection.
	ask      func(ctx context.Context, e *entity, began func()) error
	min, max time.Duration // between two tries
	timeout  time.Duration // of one
	log      *slog.Logger
	closing  <-chan struct{}
	slots    chan struct{}
	owned    sync.WaitGroup

	mu      sync.Mutex
	changed chan struct{} // closed and replaced when an entity's state changes
	closed  bool
}

// lose makes everything unknown that was heard of before a moment at which a
// connection was lost: the broker may have come back without it.
func (d *declarations) lose(at time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, e := range d.all {
		if !e.since.After(at) {
			e.state = unknown
		}
	}
}

// doubt makes entities unknown that were taken for declared, unless a doubt with a
// pause did so less than that pause ago.
func (d *declarations) doubt(es []*entity, pause time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, e := range es {
		if e.state != declared || time.Since(e.doubted) < pause {
			continue
		}
		e.state = unknown
		if pause > 0 {
			e.doubted = time.Now()
		}
	}
}

// settle has everything declared that is due, and waits until it is known of
// each of es whether it is there. The error is the context's or ErrClosed.
func (d *declarations) settle(ctx context.Context, es []*entity) error {
	for {
		d.mu.Lock()
		if d.closed {
			d.mu.Unlock()
			return ackbox.ErrClosed
		}
		for _, e := range d.all {
			if e.due() {
				e.asking = true
				d.owned.Go(func() { d.try(e) })
			}
		}
		changed := d.changed
		waits := slices.ContainsFunc(es, func(e *entity) bool { return e.state == unknown })
		d.mu.Unlock()
		if !waits {
			return nil
		}
		select {
		case <-changed:
		case <-d.closing:
			return ackbox.ErrClosed
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ctx.Err(), errNotYet)
		}
	}
}

// trouble says why one of es is not there, or nil.
func (d *declarations) trouble(es []*entity) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, e := range es {
		if e.state == unknown {
			return fmt.Errorf("%s: %w", e.name, errNotYet)
		}
		if e.err != nil {
			return e.err
		}
	}
	return nil
}

// complete reports whether all of the topology is there.
func (d *declarations) complete() bool { return d.trouble(d.all) == nil }

// absent lists the queues that nothing can be published to, as far as is known.
func (d *declarations) absent() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var names []string
	for name, e := range d.queues {
		if e.state != declared {
			names = append(names, name)
		}
	}
	return names
}

// try declares e once.
func (d *declarations) try(e *entity) {
	ctx, cancel := context.WithTimeout(context.Background(), d.timeout)
	defer cancel()
	for _, need := range e.after {
		d.await(ctx, need)
	}
	d.slots <- struct{}{}
	free := sync.OnceFunc(func() { <-d.slots })
	defer free()
	asked, answered := make(chan struct{}), make(chan error, 1)
	d.owned.Go(func() { answered <- d.ask(ctx, e, func() { close(asked) }) })
	select {
	case <-asked:
	case err := <-answered: // there is no connection
		d.note(e, err, false)
		return
	}
	late := time.NewTimer(askPatience)
	defer late.Stop()
	select {
	case err := <-answered:
		d.note(e, err, false)
	case <-late.C:
		d.note(e, errNotYet, true)
		free() // others need not wait for it
		d.note(e, <-answered, false)
	}
}

// await waits for the end of a try that is on its way.
func (d *declarations) await(ctx context.Context, e *entity) {
	for {
		d.mu.Lock()
		changed, waits := d.changed, e.asking && e.state == unknown
		d.mu.Unlock()
		if !waits {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// note takes down what came of a try, or what is thought of it while it goes on,
// and says so once.
func (d *declarations) note(e *entity, err error, goesOn bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	e.set(err, d.min, d.max)
	e.asking = goesOn
	close(d.changed)
	d.changed = make(chan struct{})
	switch {
	case err == nil && e.logged != "":
		d.log.Info("rabbitmq: declared after all", "what", e.name)
		e.logged = ""
	case err == nil || errors.Is(err, errUnasked):
	case permanent(err) && e.logged != err.Error():
		d.log.Error("rabbitmq: the broker refuses a declaration; what needs it waits, the rest goes on, until its configuration or ours is changed",
			"what", e.name, "retry_every", d.max, "error", err)
		e.logged = err.Error()
	case e.logged == "":
		d.log.Warn("rabbitmq: cannot declare; what needs it waits, the rest goes on", "what", e.name, "error", err)
		e.logged = "transient"
	}
}

// shut refuses further tries and waits for those on their way, which the end of
// their connection ends.
func (d *declarations) shut() {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	d.owned.Wait()
}
