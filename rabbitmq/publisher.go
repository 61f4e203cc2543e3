package rabbitmq

import (
	"context"
	"fmt"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ackbox/ackbox/internal/core"
)

// maxPublishers bounds the publishing channels in use at once; further calls
// wait for one.
const maxPublishers = 16

// publishers is how many of them there are on a connection for which the broker
// allows so many channels. Two are for questions, and for channels that the
// broker has yet to close.
func publishers(channelMax uint16) int { return min(max(int(channelMax)-2, 1), maxPublishers) }

// publisher is a channel in confirm mode. One call owns it at a time, and
// between two calls nothing on it is unconfirmed.
type publisher struct {
	ch      *amqp.Channel
	g       *generation
	returns chan amqp.Return // as large as a window, so that none is ever lost
	closed  chan *amqp.Error // holds why the broker closed the channel
	sent    []*amqp.DeferredConfirmation
}

// outgoing is one message on its way to the broker.
type outgoing struct {
	exchange, key string
	mandatory     bool
	message       amqp.Publishing
}

// route is what a returned message is recognised by.
type route struct{ id, exchange, key string }

// openPublisher opens a channel in confirm mode.
func (g *generation) openPublisher(ctx context.Context, window int) (*publisher, error) {
	p, err := within(ctx, g, func() (*publisher, error) {
		ch, err := g.newChannel(ctx)
		if err != nil {
			return nil, err
		}
		p := &publisher{
			ch:      ch,
			g:       g,
			returns: ch.NotifyReturn(make(chan amqp.Return, window)),
			closed:  ch.NotifyClose(make(chan *amqp.Error, 1)),
			sent:    make([]*amqp.DeferredConfirmation, 0, window),
		}
		if err := ch.Confirm(false); err != nil {
			g.drop(p)
			return nil, fmt.Errorf("confirm mode: %w", err)
		}
		return p, nil
	}, func(p *publisher) { _ = p.ch.Close() })
	if err != nil {
		return nil, g.failed(ctx, "open publisher", err)
	}
	return p, nil
}

// acquire takes a publishing channel from the pool, or opens another. Every
// acquire needs a release or a forfeit.
func (g *generation) acquire(ctx context.Context, window int) (*publisher, error) {
	select {
	case g.slots <- struct{}{}:
	case <-g.dead:
		return nil, g.failed(ctx, "acquire channel", amqp.ErrClosed)
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", errAllInUse, ctx.Err())
	}
	if p := g.takeIdle(); p != nil {
		return p, nil
	}
	p, err := g.openPublisher(ctx, window)
	if err != nil {
		<-g.slots
		return nil, err
	}
	return p, nil
}

func (g *generation) takeIdle() *publisher {
	g.mu.Lock()
	defer g.mu.Unlock()
	for n := len(g.idle); n > 0; n = len(g.idle) {
		p := g.idle[n-1]
		g.idle = g.idle[:n-1]
		if !p.ch.IsClosed() {
			return p
		}
	}
	return nil
}

// release gives back a channel on which everything is confirmed.
func (g *generation) release(p *publisher) {
	g.mu.Lock()
	if !p.ch.IsClosed() {
		g.idle = append(g.idle, p)
	}
	g.mu.Unlock()
	<-g.slots
}

// forfeit gives up a channel that is dead or has unconfirmed messages: a late
// return of one of those must never be taken for another call's.
func (g *generation) forfeit(p *publisher) {
	g.drop(p)
	<-g.slots
}

// drop closes p without waiting for the broker, which may take as long as the
// connection lives.
func (g *generation) drop(p *publisher) {
	if !p.ch.IsClosed() {
		g.spawn(func() {
			g.stuck.Add(1)
			defer g.stuck.Add(-1)
			_ = p.ch.Close()
		})
	}
}

// cause is why the channel was closed, nil if it was not closed by the broker.
// It waits until the client has sorted that out.
func (p *publisher) cause(ctx context.Context) *amqp.Error {
	select {
	case err := <-p.closed:
		return err
	case <-ctx.Done():
		return nil
	}
}

// window publishes the messages at the given indexes, awaits their confirms
// until ctx ends, and writes into out what is certain. It returns the indexes
// for which nothing is: their outcomes stay untouched.
func (p *publisher) window(ctx context.Context, indexes []int, at func(int) outgoing, out []core.Outcome) (unresolved []int) {
	p.sent = p.sent[:0]
	written := p.g.guard(ctx)
	p.g.sock.cork()
	for _, i := range indexes {
		m := at(i)
		confirm, err := p.ch.PublishWithDeferredConfirmWithContext(ctx, m.exchange, m.key, m.mandatory, false, m.message)
		if err != nil {
			break // closed, or out of time: both are looked into by the caller
		}
		p.sent = append(p.sent, confirm)
	}
	p.g.sock.uncork()
	written()
	for _, confirm := range p.sent {
		if _, err := confirm.WaitContext(ctx); err != nil {
			break
		}
	}
	// A return is queued before its ack is announced, so that after the wait
	// all of them are here. They are read before any ack is believed.
	returned := p.drainReturns()
	// A confirm is false for a nack and for a dying channel alike; the channel
	// is marked as closed before it resolves them.
	open := !p.ch.IsClosed()
	for n, i := range indexes {
		if n >= len(p.sent) {
			unresolved = append(unresolved, indexes[n:]...)
			break
		}
		confirm := p.sent[n]
		switch {
		case confirm.Acked():
			out[i] = core.Outcome{Status: core.Acked}
			if len(returned) > 0 {
				m := at(i)
				if why, ok := returned[route{m.message.MessageId, m.exchange, m.key}]; ok && m.mandatory {
					out[i] = core.Outcome{Status: core.Returned, Reason: why}
				}
			}
		case open && isDone(confirm):
			out[i] = core.Outcome{Status: core.NackedByBroker, Reason: "the broker refused the message (basic.nack): the queue is full or failing"}
		default:
			unresolved = append(unresolved, i)
		}
	}
	clear(p.sent) // the confirms are garbage now
	return unresolved
}

// drainReturns collects what came back. Two messages with the same ID and
// route cannot be told apart: both count as returned then, which is the safe
// side.
func (p *publisher) drainReturns() map[route]string {
	var returned map[route]string
	for {
		select {
		case r, ok := <-p.returns:
			if !ok {
				return returned // the channel is dead
			}
			if returned == nil {
				returned = make(map[route]string)
			}
			returned[route{r.MessageId, r.Exchange, r.RoutingKey}] = fmt.Sprintf(
				"no queue is bound for exchange %q and routing key %q (%d %s)", r.Exchange, r.RoutingKey, r.ReplyCode, r.ReplyText)
		default:
			return returned
		}
	}
}

func isDone(confirm *amqp.DeferredConfirmation) bool {
	select {
	case <-confirm.Done():
		return true
	default:
		return false
	}
}
