package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

const (
	// guardGrace is how long a write may overrun its context before its
	// connection is killed.
	guardGrace = 200 * time.Millisecond
	// closeTimeout bounds the closing handshake of a connection.
	closeTimeout = 2 * time.Second
)

// generation is one connection and its channels. It is never repaired: upon a
// fault the whole is closed and another one is built.
type generation struct {
	conn *amqp.Connection
	node string // what may be shown of its address
	sock *socket
	born time.Time
	// dead is closed when the connection is gone; cause is set before.
	dead  chan struct{}
	cause error
	ended time.Time // set before, too
	// proven is closed once the broker has answered a publish. It is nil on a
	// consuming connection.
	proven <-chan struct{}
	// stuck counts the calls that the broker has yet to answer and nobody waits
	// for.
	stuck atomic.Int64
	// slots bounds the number of publishing channels in use.
	slots chan struct{}
	// owned are the goroutines of this generation; close awaits them.
	owned sync.WaitGroup

	mu       sync.Mutex
	closing  bool
	blocked  bool
	reason   string        // the broker's, while blocked
	changed  chan struct{} // closed and replaced when blocked changes
	idle     []*publisher
	declared map[string]bool // retry and dead queues
}

// open dials, authenticates and starts to watch a connection to t. It is bounded
// by ctx and Config.DialTimeout.
func (b *Broker) open(ctx context.Context, role string, t target) (*generation, error) {
	properties := amqp.NewConnectionProperties()
	properties.SetClientConnectionName(b.cfg.Name + " " + role)
	var (
		sock *socket
		stop func() bool
	)
	cfg := amqp.Config{
		Properties: properties,
		Heartbeat:  b.cfg.Heartbeat,
		Dial: func(network, address string) (net.Conn, error) {
			s, err := dial(ctx, network, address, b.cfg.DialTimeout, b.cfg.WriteTimeout)
			if err != nil {
				return nil, err
			}
			sock = s
			stop = context.AfterFunc(ctx, func() { _ = s.Close() })
			return s, nil
		},
	}
	if b.cfg.TLS != nil {
		cfg.TLSClientConfig = b.cfg.TLS.Clone()
	}
	conn, err := amqp.DialConfig(t.raw, cfg)
	if stop != nil && !stop() && err == nil {
		// ctx ended at the last moment and its function is closing the socket.
		err = ctx.Err()
	}
	if err != nil {
		if sock != nil {
			_ = sock.Close()
		}
		if t.uri.Scheme == "amqps" && hungUp(err) {
			err = fmt.Errorf("the broker hung up; it may want a client certificate that it trusts: %w", err)
		}
		return nil, fmt.Errorf("connect to %s: %w", t.display, err)
	}
	g := &generation{
		conn:     conn,
		node:     t.display,
		sock:     sock,
		born:     time.Now(),
		dead:     make(chan struct{}),
		slots:    make(chan struct{}, publishers(conn.Config.ChannelMax)),
		changed:  make(chan struct{}),
		declared: make(map[string]bool),
	}
	closed := conn.NotifyClose(make(chan *amqp.Error, 1))
	blocked := conn.NotifyBlocked(make(chan amqp.Blocking, 16))
	log := b.cfg.Logger.With("broker", t.display, "connection", role)
	g.owned.Go(func() { g.watch(closed, blocked, log) })
	return g, nil
}

// watch keeps the connection's notifications drained until it is gone. Then it
// closes the socket, which frees whoever is stuck in a write.
func (g *generation) watch(closed <-chan *amqp.Error, blocked <-chan amqp.Blocking, log *slog.Logger) {
	for {
		select {
		case b, ok := <-blocked:
			if !ok {
				blocked = nil
				continue
			}
			g.setBlocked(b)
			if b.Active {
				log.Warn("rabbitmq: the broker blocks publishers; nothing is published until it lets them go on", "reason", b.Reason)
			} else {
				log.Info("rabbitmq: the broker lets publishers go on")
			}
		case err := <-closed:
			g.cause, g.ended = errLost, time.Now()
			if err != nil {
				g.cause = err
			}
			close(g.dead)
			_ = g.sock.Close()
			return
		}
	}
}

func (g *generation) setBlocked(b amqp.Blocking) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.blocked, g.reason = b.Active, b.Reason
	close(g.changed)
	g.changed = make(chan struct{})
}

// blocking reports whether the broker blocks publishers, why, and a channel
// that is closed when that changes.
func (g *generation) blocking() (blocked bool, reason string, changed <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.blocked, g.reason, g.changed
}

func (g *generation) isDeclared(queue string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.declared[queue]
}

func (g *generation) setDeclared(queue string, yes bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.declared[queue] = yes
}

// alive reports whether the connection is, as far as is known, usable.
func (g *generation) alive() bool {
	select {
	case <-g.dead:
		return false
	default:
		return !g.conn.IsClosed()
	}
}

// lost is the error of a call that the end of the connection interrupted.
func (g *generation) lost() error {
	select {
	case <-g.dead:
		return g.cause
	default:
		return errLost
	}
}

// lostAt is when g ended, as far as is known.
func (g *generation) lostAt() time.Time {
	select {
	case <-g.dead:
		return g.ended
	default:
		return time.Now()
	}
}

// kill closes the socket, so that everything that waits for it returns.
func (g *generation) kill() { _ = g.sock.Close() }

// failed words the error of a call on g: a cancelled context or the death of
// the connection says more than the client's "channel is not open".
func (g *generation) failed(ctx context.Context, doing string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", doing, ctx.Err())
	}
	if errors.Is(err, amqp.ErrClosed) && !g.alive() {
		return fmt.Errorf("%s: %w: %w", doing, amqp.ErrClosed, g.lost())
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// spawn runs f in a goroutine that close awaits, unless g is closing already.
func (g *generation) spawn(f func()) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.closing {
		g.owned.Go(f)
	}
	return !g.closing
}

// close ends the connection, politely for at most closeTimeout, and returns
// when all goroutines of g are done.
func (g *generation) close() {
	g.mu.Lock()
	g.closing = true
	g.mu.Unlock()
	timer := time.AfterFunc(closeTimeout, g.kill)
	// A failed handshake changes nothing: the socket is closed either way.
	_ = g.conn.CloseDeadline(time.Now().Add(closeTimeout))
	timer.Stop()
	g.kill()
	g.owned.Wait()
}
