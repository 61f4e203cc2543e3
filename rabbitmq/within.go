package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// maxStuck bounds the calls of a connection that the broker has yet to answer
// and nobody waits for any more.
const maxStuck = 64

// errUnasked says that the broker was not asked at all.
var errUnasked = errors.New("the broker was not asked")

// within runs f, which does not look at contexts itself as all of the client's
// calls do not, in a goroutine of g. It returns when f does, or when ctx ends:
// then f goes on alone, and undo gets what it brings after all. So a call that
// the broker does not answer costs its channel and no other.
func within[T any](ctx context.Context, g *generation, f func() (T, error), undo func(T)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	var none T
	if err := ctx.Err(); err != nil {
		return none, fmt.Errorf("%w: %w", errUnasked, err)
	}
	answers, left := make(chan answer), make(chan struct{})
	spawned := g.spawn(func() {
		value, err := f()
		select {
		case answers <- answer{value, err}:
		case <-left:
			g.stuck.Add(-1)
			if err == nil && undo != nil {
				undo(value)
			}
		}
	})
	if !spawned {
		return none, fmt.Errorf("%w: %w", errUnasked, amqp.ErrClosed)
	}
	select {
	case a := <-answers:
		return a.value, a.err
	case <-ctx.Done():
		if g.stuck.Add(1) > maxStuck {
			g.kill() // which ends them all
		}
		close(left)
		return none, fmt.Errorf("no answer from the broker: %w", ctx.Err())
	}
}

// ask runs f on a channel of its own, like within.
func ask[T any](ctx context.Context, g *generation, f func(*amqp.Channel) (T, error)) (T, error) {
	return within(ctx, g, func() (T, error) {
		ch, err := g.newChannel(ctx)
		if err != nil {
			var none T
			return none, err
		}
		value, err := f(ch)
		// Closing tells the broker that the number is free; if the channel is dead
		// already, or the connection is, there is nobody to tell.
		_ = ch.Close()
		return value, err
	}, nil)
}

// openChannel opens a channel for several calls. It must be hung up.
func (g *generation) openChannel(ctx context.Context) (*amqp.Channel, error) {
	return within(ctx, g, func() (*amqp.Channel, error) { return g.newChannel(ctx) }, func(ch *amqp.Channel) { _ = ch.Close() })
}

// channelPause is the time between two tries to open one channel more than the
// broker allows.
const channelPause = 10 * time.Millisecond

// errAllInUse says nothing about the broker.
var errAllInUse = errors.New("all channels that the broker allows are in use")

// newChannel opens a channel. Where the broker allows no more of them it waits
// until another is closed, or ctx ends.
func (g *generation) newChannel(ctx context.Context) (*amqp.Channel, error) {
	for {
		ch, err := g.conn.Channel()
		if err == nil {
			return ch, nil
		}
		if !errors.Is(err, amqp.ErrChannelMax) {
			return nil, fmt.Errorf("open channel: %w", err)
		}
		if !g.pause(ctx, channelPause) {
			return nil, errAllInUse
		}
	}
}

// pause waits for d and reports whether it is over, and not ctx or g.
func (g *generation) pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-g.dead:
	case <-ctx.Done():
	}
	return false
}

// hangUp closes a channel, whatever is unsettled on it goes back to its queue,
// and waits a moment for the broker's answer.
func (g *generation) hangUp(ch *amqp.Channel) {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	// A channel that cannot be closed is as good as closed.
	_, _ = within(ctx, g, func() (struct{}, error) { return struct{}{}, ch.Close() }, nil)
}

// guard covers a write, which does not look at contexts: if it is still stuck a
// moment after ctx ended, nothing else can be written either and the connection
// is killed under it. The caller must release the guard when the write is over.
func (g *generation) guard(ctx context.Context) (release func()) {
	timer := make(chan *time.Timer, 1)
	stop := context.AfterFunc(ctx, func() { timer <- time.AfterFunc(guardGrace, g.kill) })
	return func() {
		if !stop() {
			(<-timer).Stop()
		}
	}
}
