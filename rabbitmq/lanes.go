package rabbitmq

import (
	"context"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ackbox/ackbox/internal/core"
)

// maxLanes bounds how many destinations of one batch have a channel each; more
// of them share.
const maxLanes = 8

// lane is the part of a batch that goes by one channel. Its answers are waited
// for as long as the batch's, or only for its patience.
type lane struct {
	indexes  []int
	patience time.Duration
}

// admitted leaves out the messages that have to wait for a stalled destination.
func (c *call) admitted(todo []int) []int {
	now := todo[:0]
	for _, i := range todo {
		if c.b.stalls.admits(c.to(i)) {
			now = append(now, i)
		} else {
			c.out[i] = core.Outcome{Status: core.Unknown, Stalled: true, Unpublished: true, Reason: stalledReason}
		}
	}
	return now
}

// lanes splits a batch by destination. RabbitMQ handles what comes by one
// channel in its order, and a message for a queue without a leader holds up all
// that are behind it. What only tries whether there is an answer has a lane apart.
func (c *call) lanes(todo []int) []lane {
	if len(todo) == 0 {
		return nil
	}
	most := min(maxLanes, cap(c.g.slots))
	number := make(map[destination]int, 1)
	var (
		lanes []lane
		tries lane
		next  int
		n     int
		last  destination // jobs come queue by queue
	)
	for _, i := range todo {
		if d := c.to(i); d != last {
			var seen bool
			if n, seen = number[d]; !seen {
				if patience := c.b.stalls.patience(d); patience > 0 {
					tries.patience = max(tries.patience, patience)
					n = -1
				} else {
					n, next = next%most, next+1
				}
				number[d] = n
			}
			last = d
		}
		if n < 0 {
			tries.indexes = append(tries.indexes, i)
			continue
		}
		if n == len(lanes) {
			lanes = append(lanes, lane{})
		}
		lanes[n].indexes = append(lanes[n].indexes, i)
	}
	if len(tries.indexes) > 0 {
		lanes = append(lanes, tries)
	}
	return lanes
}

// judge decides what it means that messages got no answer in time. Where the
// broker answers otherwise it is their destinations that are stalled, and the
// connection stays; where it does not, the connection is thrown away.
func (c *call) judge(ctx context.Context, todo []int) {
	c.b.stalls.answered(ctx, todo, c.to, c.out)
	if blocked, _, _ := c.g.blocking(); blocked || len(c.silent) == 0 && !c.mute {
		return
	}
	// Answers that came before the silence would prove nothing: it is asked now.
	if c.g.stuck.Load() > maxStuck || !c.g.answers(c.outer) {
		if c.outer.Err() == nil { // a caller that is gone says nothing about it
			c.b.publish.discard(c.g, errNoConfirm)
		}
		return
	}
	for _, silent := range c.silent {
		// Of a lane that several destinations share it is the first's: the rest
		// was behind it.
		c.b.stalls.add(ctx, c.to(silent[0]), c.b.cfg.ConfirmTimeout)
		for _, i := range silent {
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
