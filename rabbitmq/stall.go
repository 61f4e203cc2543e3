package rabbitmq

import (
	"context"
	"log/slog"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ackbox/ackbox"
)

const (
	// maxLanes bounds how many destinations of one batch have a channel each;
	// more of them share.
	maxLanes = 8
	// stallPause is the least time between two messages that are sent to a
	// stalled destination to see whether it answers again.
	stallPause = 5 * time.Second
	// stallPatience is how long the answer to the first of them is waited for;
	// the rest of its batch waits as well. It doubles with each, up to
	// Config.ConfirmTimeout: a broker that is slow and not silent gets its chance.
	stallPatience = time.Second
	// maxStuck bounds the channels of a connection that cannot be closed because
	// the broker does not answer on them.
	maxStuck = 64
)

const stalledReason = "not published: the broker confirms nothing for this destination at present"

// destination is where the broker routes a message by.
type destination struct{ exchange, key string }

// stalls are the destinations for which the broker confirms nothing, although
// it answers otherwise: quorum queues without a leader. Safe for concurrent use.
type stalls struct {
	log *slog.Logger

	mu    sync.Mutex
	known map[destination]stall
}

// stall is what is known of one of them.
type stall struct {
	next     time.Time     // when the next message may try
	patience time.Duration // and how long its answer is waited for
}

// later is the stall after another message has tried, or begins to.
func (s stall) later() stall {
	s.next = time.Now().Add(max(stallPause, 2*s.patience))
	return s
}

// admits reports whether a message may be published to d now. One that may try
// a stalled destination is the only one for a while.
func (s *stalls) admits(d destination) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	known, stalled := s.known[d]
	if !stalled {
		return true
	}
	if time.Now().Before(known.next) {
		return false
	}
	s.known[d] = known.later()
	return true
}

// patience is how long the answer for a stalled destination is waited for; 0 for
// any other.
func (s *stalls) patience(d destination) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.known[d].patience
}

// maxStalls bounds the memory. What is beyond is treated like the others.
const maxStalls = 10_000

// add notes that nothing was confirmed for d, once more. patience is at most
// limit.
func (s *stalls) add(ctx context.Context, d destination, limit time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known, stalled := s.known[d]
	if !stalled {
		if len(s.known) >= maxStalls {
			return
		}
		s.log.WarnContext(ctx, "rabbitmq: the broker confirms nothing for a destination; its messages wait, others go on",
			"exchange", d.exchange, "routing_key", d.key)
	}
	if s.known == nil {
		s.known = make(map[destination]stall)
	}
	known.patience = min(max(stallPatience, 2*known.patience), limit)
	s.known[d] = known.later()
}

// answered forgets the destinations of messages that got an answer.
func (s *stalls) answered(ctx context.Context, indexes []int, to func(int) destination, out []ackbox.Outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.known) == 0 {
		return
	}
	for _, i := range indexes {
		d := to(i)
		if _, stalled := s.known[d]; stalled && out[i].Status != ackbox.Unknown {
			delete(s.known, d)
			s.log.InfoContext(ctx, "rabbitmq: a destination is confirmed again", "exchange", d.exchange, "routing_key", d.key)
		}
	}
}

// admitted leaves out the messages that have to wait for a stalled destination.
func (c *call) admitted(todo []int) []int {
	now := todo[:0]
	for _, i := range todo {
		if c.b.stalls.admits(c.to(i)) {
			now = append(now, i)
		} else {
			c.out[i] = ackbox.Outcome{Status: ackbox.Unknown, Stalled: true, Reason: stalledReason}
		}
	}
	return now
}

// lanes splits a batch by destination. RabbitMQ handles what comes by one
// channel in its order, and a message for a queue without a leader holds up all
// that are behind it.
func (c *call) lanes(todo []int) [][]int {
	if len(todo) == 0 {
		return nil
	}
	number := make(map[destination]int, 1)
	var lanes [][]int
	for _, i := range todo {
		d := c.to(i)
		n, seen := number[d]
		if !seen {
			n = len(number) % maxLanes
			number[d] = n
			if n == len(lanes) {
				lanes = append(lanes, nil)
			}
		}
		lanes[n] = append(lanes[n], i)
	}
	return lanes
}

// patience shortens the wait for a message that only tries.
func (c *call) patience(ctx context.Context, lane []int) (context.Context, context.CancelFunc) {
	if len(lane) == 1 {
		if patience := c.b.stalls.patience(c.to(lane[0])); patience > 0 {
			return context.WithTimeoutCause(ctx, patience, errNoConfirm)
		}
	}
	return ctx, func() {}
}

// judge decides what it means that messages got no answer in time. Where the
// broker answers otherwise it is their destinations that are stalled, and the
// connection stays; where it does not, the connection is thrown away.
func (c *call) judge(ctx context.Context, todo []int) {
	c.b.stalls.answered(ctx, todo, c.to, c.out)
	if blocked, _, _ := c.g.blocking(); blocked || len(c.silent) == 0 {
		return
	}
	// Answers that came before the silence would prove nothing: it is asked now.
	if c.g.stuck.Load() > maxStuck || !c.g.answers(c.outer) {
		c.b.publish.discard(c.g, errNoConfirm)
		return
	}
	for _, lane := range c.silent {
		// Of a lane that several destinations share it is the first's: the rest
		// was behind it.
		c.b.stalls.add(ctx, c.to(lane[0]), c.b.cfg.ConfirmTimeout)
		for _, i := range lane {
			c.out[i].Stalled = true
		}
	}
}

// answers reports whether the broker confirms a message that lands nowhere.
func (g *generation) answers(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, stallPatience)
	defer cancel()
	p, err := g.openPublisher(ctx, 1)
	if err != nil {
		return false
	}
	defer g.drop(p)
	defer g.guard(ctx)()
	confirm, err := p.ch.PublishWithDeferredConfirmWithContext(ctx, "", probeKey, false, false,
		amqp.Publishing{DeliveryMode: amqp.Transient, Body: []byte{0}})
	if err != nil {
		return false
	}
	acked, err := confirm.WaitContext(ctx)
	// A user without permission on the default exchange gets its channel closed:
	// that is an answer, too.
	return err == nil && (acked || p.ch.IsClosed() && g.alive())
}
