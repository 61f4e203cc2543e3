package rabbitmq

import (
	"context"
	"errors"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
)

// healPause is the least time between two declarations of the same thing that
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
func (b *Broker) Publish(ctx context.Context, jobs []ackbox.Job) []core.Outcome {
	out := make([]core.Outcome, len(jobs))
	if len(jobs) == 0 {
		return out
	}
	outer := ctx
	ctx, cancel := context.WithTimeoutCause(ctx, b.cfg.ConfirmTimeout, errNoConfirm)
	defer cancel()
	g, err := b.publish.get(ctx, false)
	if err != nil {
		for i := range out {
			out[i] = core.Outcome{Unpublished: true, Reason: err.Error()}
		}
		return out
	}
	c := call{
		b: b, g: g, outer: outer, out: out, at: func(i int) outgoing { return jobMessage(&jobs[i]) },
		to:    func(i int) destination { return destinationOf(&jobs[i]) },
		needs: func(i int) []*entity { return b.declared.route(jobs[i].Queue, jobs[i].Exchange) },
	}
	todo := make([]int, 0, len(jobs))
	for i := range jobs {
		if reason := b.refuse(g, &jobs[i]); reason != "" {
			out[i] = core.Outcome{Status: core.NackedByBroker, Reason: reason, OfMessage: true}
			continue
		}
		todo = append(todo, i)
	}
	c.publish(ctx, c.admitted(c.declared(ctx, todo)))
	return out
}

// publishOne publishes one message to a queue like Publish does.
func (b *Broker) publishOne(ctx context.Context, g *generation, m outgoing) core.Outcome {
	out := make([]core.Outcome, 1)
	c := call{
		b: b, g: g, outer: ctx, out: out, at: func(int) outgoing { return m },
		to:    func(int) destination { return destination{queue: m.key} },
		needs: func(int) []*entity { return b.declared.route(m.key, "") },
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
	needs func(int) []*entity
	out   []core.Outcome

	redeclared sync.Once
	mu         sync.Mutex
	silent     [][]int // messages that got no answer in time, by lane
	mute       bool    // the broker did not open a channel in time
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
func (c *call) run(ctx context.Context, l lane) {
	todo := l.indexes
	if l.patience > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, l.patience, errNoConfirm)
		defer cancel()
	}
	for len(todo) > 0 {
		if blocked, reason, _ := c.g.blocking(); blocked {
			c.unpublished(todo, "the broker blocks publishers: "+reason)
			return
		}
		p, err := c.g.acquire(ctx, c.b.cfg.Window)
		if err != nil {
			c.unsent(ctx, todo, err)
			return
		}
		n := min(len(todo), c.b.cfg.Window)
		unresolved := p.window(ctx, todo[:n], c.at, c.out)
		if len(unresolved) == 0 {
			c.g.release(p)
		} else if !c.resolve(ctx, p, unresolved) {
			c.unpublished(todo[n:], "not published: an earlier message of the batch had no answer")
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
		c.redeclare(ctx, indexes, 0)
	}
	for n := range indexes {
		p, err := c.g.acquire(ctx, c.b.cfg.Window)
		if err != nil {
			c.unsent(ctx, indexes[n:], err)
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
		c.out[indexes[n]] = core.Outcome{Status: core.NackedByBroker, Reason: cause.Reason, OfMessage: true}
	}
	return true
}

// redeclare has what messages need declared anew, unless that was done less than
// pause ago: somebody may have deleted it. It happens once per call.
func (c *call) redeclare(ctx context.Context, indexes []int, pause time.Duration) {
	if c.b.cfg.Passive {
		return
	}
	c.redeclared.Do(func() {
		var es []*entity
		for _, i := range indexes {
			es = append(es, c.needs(i)...)
		}
		c.b.declared.doubt(es, pause)
		// What cannot be declared shows when it is published to.
		_ = c.b.declared.settle(ctx, es)
	})
}

// heal declares anew what a message missed that came back: somebody has deleted a
// queue or a binding, and the next try shall succeed. It does not change the
// outcome.
func (c *call) heal(ctx context.Context) {
	var returned []int
	for i, o := range c.out {
		if o.Status == core.Returned {
			returned = append(returned, i)
		}
	}
	if len(returned) > 0 {
		c.redeclare(ctx, returned, healPause)
	}
}

// declared leaves out the messages for whose queue or exchange there is no
// declaration.
func (c *call) declared(ctx context.Context, todo []int) []int {
	d := c.b.declared
	if d.complete() {
		return todo
	}
	var es []*entity
	for _, i := range todo {
		es = append(es, c.needs(i)...)
	}
	// ctx bounds the wait; what is not known then is as good as missing.
	_ = d.settle(ctx, es)
	now := todo[:0]
	for _, i := range todo {
		if err := d.trouble(c.needs(i)); err != nil {
			c.out[i] = core.Outcome{Status: core.Unknown, Stalled: true, Unpublished: true, Reason: "not published: " + err.Error()}
			continue
		}
		now = append(now, i)
	}
	return now
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

// unsent makes messages Unknown for which there was no channel.
func (c *call) unsent(ctx context.Context, indexes []int, err error) {
	switch {
	case errors.Is(err, errAllInUse):
	case errors.Is(context.Cause(ctx), errNoConfirm):
		c.mu.Lock()
		c.mute = true
		c.mu.Unlock()
	case ctx.Err() == nil:
		c.interrupted(ctx, indexes, err)
	}
	c.unpublished(indexes, "not published: "+err.Error())
}

func (c *call) unpublished(indexes []int, reason string) {
	for _, i := range indexes {
		c.out[i] = core.Outcome{Status: core.Unknown, Unpublished: true, Reason: reason}
	}
}

func (c *call) unknown(indexes []int, reason string) {
	for _, i := range indexes {
		c.out[i] = core.Outcome{Status: core.Unknown, Reason: reason}
	}
}
