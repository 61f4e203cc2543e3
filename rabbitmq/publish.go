package rabbitmq

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ackbox/ackbox"
)

// healPause is the least time between two declarations of the topology that
// returned messages cause.
const healPause = 5 * time.Second

// errNoConfirm is why a connection is thrown away although it seems to stand.
var errNoConfirm = errors.New("no answer from the broker within Config.ConfirmTimeout")

// Publish publishes jobs, persistent and confirmed, and reports the broker's
// answer for each, in the same order. It returns when all are answered, at the
// latest when ctx ends (plus a fifth of a second) or Config.ConfirmTimeout has
// passed (plus up to a second and a half, in which the broker is asked whether it
// answers at all); what has no answer by then is Unknown. While the broker is away or
// blocks publishers because of an alarm everything is Unknown at once: use
// [Broker.Ready] to wait. The broker tells of an alarm only when something is
// published, so the first batch after it may have to wait for the deadline.
//
// Where a message makes the broker close the channel (a missing exchange, a
// message over the broker's limit), that message is NackedByBroker with the
// broker's words, and its neighbours are published again: they may be
// duplicated, they are not lost. Concurrent calls use channels of their own, and
// so do the destinations of one call. Where the broker answers for others, but not
// for one destination (a quorum queue without a leader), its messages are Stalled,
// and one of them is published every 5 s or more to see; the rest is not, until then.
func (b *Broker) Publish(ctx context.Context, jobs []ackbox.Job) []ackbox.Outcome {
	out := make([]ackbox.Outcome, len(jobs))
	if len(jobs) == 0 {
		return out
	}
	outer := ctx
	ctx, cancel := context.WithTimeoutCause(ctx, b.cfg.ConfirmTimeout, errNoConfirm)
	defer cancel()
	g, err := b.publish.get(ctx, false)
	if err != nil {
		for i := range out {
			out[i].Reason = err.Error()
		}
		return out
	}
	c := call{
		b: b, g: g, outer: outer, out: out, at: func(i int) outgoing { return jobMessage(&jobs[i]) },
		to: func(i int) destination { return destination{jobs[i].Exchange, jobs[i].RoutingKey} },
	}
	todo := make([]int, 0, len(jobs))
	for i := range jobs {
		if reason := b.refuse(g, &jobs[i]); reason != "" {
			out[i] = ackbox.Outcome{Status: ackbox.NackedByBroker, Reason: reason}
			continue
		}
		todo = append(todo, i)
	}
	c.publish(ctx, c.admitted(todo))
	return out
}

// publishOne publishes one message like Publish does.
func (b *Broker) publishOne(ctx context.Context, g *generation, m outgoing) ackbox.Outcome {
	out := make([]ackbox.Outcome, 1)
	c := call{
		b: b, g: g, outer: ctx, out: out, at: func(int) outgoing { return m },
		to: func(int) destination { return destination{m.exchange, m.key} },
	}
	c.publish(ctx, []int{0})
	return out[0]
}

// call is one batch on its way through one generation. Its lanes run at the
// same time, each with messages of its own.
type call struct {
	b *Broker
	g *generation
	// outer bounds what is asked once the time for confirms is over.
	outer context.Context //nolint:containedctx // a call lives no longer than its context
	at    func(int) outgoing
	to    func(int) destination
	out   []ackbox.Outcome

	redeclared sync.Once
	mu         sync.Mutex
	silent     [][]int // messages that got no answer in time, by lane
}

// publish publishes the messages at the given indexes, and judges what the
// broker's silence means.
func (c *call) publish(ctx context.Context, todo []int) {
	lanes := c.lanes(todo)
	var others sync.WaitGroup
	for _, lane := range lanes[min(1, len(lanes)):] {
		others.Go(func() { c.run(ctx, lane) })
	}
	if len(lanes) > 0 {
		c.run(ctx, lanes[0])
	}
	others.Wait()
	if ctx.Err() == nil {
		c.heal(ctx)
	}
	c.judge(ctx, todo)
}

// run publishes the messages of one lane, window by window.
func (c *call) run(ctx context.Context, todo []int) {
	ctx, cancel := c.patience(ctx, todo)
	defer cancel()
	defer c.g.guard(ctx)()
	for len(todo) > 0 {
		if blocked, reason, _ := c.g.blocking(); blocked {
			c.unknown(todo, "the broker blocks publishers: "+reason)
			return
		}
		p, err := c.g.acquire(ctx, c.b.cfg.Window)
		if err != nil {
			c.interrupted(ctx, todo, err)
			return
		}
		n := min(len(todo), c.b.cfg.Window)
		unresolved := p.window(ctx, todo[:n], c.at, c.out)
		if len(unresolved) == 0 {
			c.g.release(p)
		} else if !c.resolve(ctx, p, unresolved) {
			c.unknown(todo[n:], "not published: an earlier message of the batch had no answer")
			return
		}
		todo = todo[n:]
	}
}

// resolve deals with messages that p left without an answer, and gives p up.
// It reports whether the batch can go on.
func (c *call) resolve(ctx context.Context, p *publisher, unresolved []int) bool {
	died := p.ch.IsClosed()
	c.g.forfeit(p)
	if ctx.Err() == nil && died && c.g.alive() {
		cause := p.cause(ctx)
		if cause != nil && soft(cause) && c.g.alive() {
			return c.isolate(ctx, cause, unresolved)
		}
	}
	c.interrupted(ctx, unresolved, amqp.ErrClosed)
	return false
}

// isolate publishes messages one by one, each on a living channel, so that the
// one that kills the channel is known and its neighbours get through.
func (c *call) isolate(ctx context.Context, cause *amqp.Error, indexes []int) bool {
	if cause.Code == amqp.NotFound {
		c.redeclare(ctx)
	}
	for n := range indexes {
		p, err := c.g.acquire(ctx, c.b.cfg.Window)
		if err != nil {
			c.interrupted(ctx, indexes[n:], err)
			return false
		}
		if len(p.window(ctx, indexes[n:n+1], c.at, c.out)) == 0 {
			c.g.release(p)
			continue
		}
		died := p.ch.IsClosed()
		c.g.forfeit(p)
		if died {
			cause = p.cause(ctx)
		}
		if !died || cause == nil || !soft(cause) || !c.g.alive() {
			c.interrupted(ctx, indexes[n:], amqp.ErrClosed)
			return false
		}
		c.out[indexes[n]] = ackbox.Outcome{Status: ackbox.NackedByBroker, Reason: cause.Reason}
	}
	return true
}

// redeclare declares the topology anew, once per call: an exchange of ours may
// have been deleted.
func (c *call) redeclare(ctx context.Context) {
	if c.b.cfg.Passive {
		return
	}
	c.redeclared.Do(func() {
		if err := c.b.declareTopology(ctx, c.g); err != nil {
			c.b.publish.log.WarnContext(ctx, "rabbitmq: cannot declare the topology anew", "error", err)
		}
	})
}

// heal declares the topology anew if a message for it came back: somebody has
// deleted a queue or a binding, and the next try shall succeed. It does not
// change the outcome.
func (c *call) heal(ctx context.Context) {
	lost := func(o ackbox.Outcome) bool { return o.Status == ackbox.Returned }
	if c.b.cfg.Passive || !slices.ContainsFunc(c.out, lost) {
		return
	}
	c.g.mu.Lock()
	due := time.Since(c.g.healed) >= healPause
	if due {
		c.g.healed = time.Now()
	}
	c.g.mu.Unlock()
	if due {
		c.redeclare(ctx)
	}
}

// interrupted makes messages Unknown because ctx ended or the connection did,
// and throws the generation away where that is its fault.
func (c *call) interrupted(ctx context.Context, indexes []int, err error) {
	blocked, reason, _ := c.g.blocking()
	switch {
	case blocked:
		c.unknown(indexes, "no answer: the broker blocks publishers: "+reason)
	case errors.Is(context.Cause(ctx), errNoConfirm):
		// Whose silence it is, the connection's or a queue's, is seen when all
		// lanes have ended.
		c.unknown(indexes, errNoConfirm.Error())
		c.mu.Lock()
		c.silent = append(c.silent, indexes)
		c.mu.Unlock()
	case ctx.Err() != nil:
		// The caller's own deadline says nothing about the connection.
		c.unknown(indexes, "no answer before the call was cancelled or its deadline passed")
	default:
		err = c.g.failed(ctx, "no answer", err)
		c.unknown(indexes, err.Error())
		c.b.publish.discard(c.g, err)
	}
}

func (c *call) unknown(indexes []int, reason string) {
	for _, i := range indexes {
		c.out[i] = ackbox.Outcome{Status: ackbox.Unknown, Reason: reason}
	}
}
