package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/ackbox/ackbox"
)

// shortLived is the age below which the loss of a generation counts as another
// failure to connect: a broker that accepts and drops connections must not be
// met with a hot loop.
const shortLived = 5 * time.Second

// slot holds the current generation of one role. The calls that need one build
// it, one at a time: there is no supervisor goroutine.
type slot struct {
	role     string
	nodes    nodes // used by the running build
	build    func(context.Context, target) (*generation, error)
	retire   func(*generation) // closes a generation in the background
	lost     func(*generation) // hears of one that was in use; may be nil
	min, max time.Duration
	log      *slog.Logger
	closing  <-chan struct{}

	mu       sync.Mutex // never held during I/O
	gen      *generation
	building chan struct{}      // closed when the running build is over; nil if none runs
	cancel   context.CancelFunc // of the running build
	closed   bool
	failures int       // in a row
	hops     int       // to another node without a pause
	next     time.Time // of the next try to connect
	err      error     // of the last one
	logged   string    // what was said of the current outage
}

// get returns a living generation, building it if need be. A patient caller
// waits through failures and pauses until ctx ends; an impatient one makes at
// most one try, and none while the pause after a failure lasts.
func (s *slot) get(ctx context.Context, patient bool) (*generation, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, s.gaveUp(err)
		}
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			return nil, ackbox.ErrClosed
		}
		if s.gen != nil {
			if s.gen.alive() {
				g := s.gen
				s.mu.Unlock()
				return g, nil
			}
			s.drop(s.gen, s.gen.lost())
		}
		if s.building != nil {
			building := s.building
			s.mu.Unlock()
			if err := s.wait(ctx, building); err != nil {
				return nil, err
			}
			if g, err := s.current(); g != nil || !patient {
				return g, err
			}
			continue
		}
		if pause := time.Until(s.next); pause > 0 {
			err := s.err
			s.mu.Unlock()
			if !patient {
				return nil, fmt.Errorf("not connected, next try in %v: %w", pause.Round(time.Millisecond), err)
			}
			if err := s.sleep(ctx, pause); err != nil {
				return nil, err
			}
			continue
		}
		g, err := s.rebuild(ctx) // unlocks
		if err == nil {
			return g, nil
		}
		if !patient || errors.Is(err, ackbox.ErrClosed) && s.isClosed() {
			return nil, err
		}
	}
}

// rebuild runs one build on behalf of everybody. It is called with s.mu held
// and releases it.
func (s *slot) rebuild(ctx context.Context) (*generation, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan struct{})
	s.building, s.cancel = done, cancel
	s.mu.Unlock()

	g, err := s.nodes.connect(ctx, s.log.With("connection", s.role), s.build)

	s.mu.Lock()
	defer s.mu.Unlock()
	defer close(done)
	s.building, s.cancel = nil, nil
	if s.closed {
		if g != nil {
			s.retire(g)
		}
		return nil, ackbox.ErrClosed
	}
	if err != nil {
		if ctx.Err() == nil {
			s.fail(err)
		}
		return nil, err
	}
	s.gen, s.err = g, nil
	if s.logged != "" {
		s.log.InfoContext(ctx, "rabbitmq: connected again", "connection", s.role, "node", g.node)
		s.logged = ""
	}
	return g, nil
}

// current returns the generation that somebody else's build left behind.
func (s *slot) current() (*generation, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return nil, ackbox.ErrClosed
	case s.gen != nil:
		return s.gen, nil
	case s.err != nil:
		return nil, s.err
	}
	return nil, errLost
}

// discard throws g away because of err, if it is still the current one.
func (s *slot) discard(g *generation, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gen == g && !s.closed {
		s.drop(g, err)
	}
}

// drop is discard with s.mu held.
func (s *slot) drop(g *generation, err error) {
	s.gen = nil
	if time.Since(g.born) >= shortLived {
		s.failures, s.hops = 0, 0
	}
	if s.lost != nil {
		s.lost(g)
	}
	s.fail(fmt.Errorf("%s: %w", g.node, err))
	if s.hops < len(s.nodes.targets)-1 {
		s.hops++
		s.next = time.Time{} // another node is asked at once, but none twice
	}
	s.retire(g)
}

// fail counts a failure and says so, once per outage for what heals by itself
// and once per change for what somebody must repair.
func (s *slot) fail(err error) {
	// Twice in a row is no accident.
	refused := permanent(err) && (!each(err, guessed) || each(s.err, guessed))
	s.err = err
	pause := s.max
	if !refused {
		pause = min(s.min<<min(s.failures, 20), s.max)
	}
	s.failures++
	// Half fixed and half random: never a hot loop, never a herd.
	s.next = time.Now().Add(pause/2 + rand.N(pause/2+1)) //nolint:gosec // jitter is no secret
	switch {
	case refused:
		if text := err.Error(); s.logged != text {
			s.log.Error("rabbitmq: the broker refuses; retrying until its configuration or ours is changed",
				"connection", s.role, "retry_every", s.max, "error", err)
			s.logged = text
		}
	case s.logged == "":
		s.log.Warn("rabbitmq: not connected; retrying", "connection", s.role, "error", err)
		s.logged = "transient"
	}
}

func (s *slot) wait(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return s.gaveUp(ctx.Err())
	case <-s.closing:
		return ackbox.ErrClosed
	}
}

func (s *slot) sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return s.gaveUp(ctx.Err())
	case <-s.closing:
		return ackbox.ErrClosed
	}
}

// gaveUp adds why there was no connection to the end of a context.
func (s *slot) gaveUp(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return fmt.Errorf("%w, not connected: %w", err, s.err)
	}
	return err
}

func (s *slot) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// shut refuses further calls, ends a running build and hands back the last
// generation, or nil, for the caller to close.
func (s *slot) shut() *generation {
	s.mu.Lock()
	s.closed = true
	building := s.building
	if s.cancel != nil {
		s.cancel()
	}
	g := s.gen
	s.gen = nil
	s.mu.Unlock()
	if building != nil {
		<-building
	}
	return g
}
