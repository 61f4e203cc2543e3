package netfault

import (
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/Shopify/toxiproxy/v2/stream"
)

// dialTimeout bounds connecting to the server.
const dialTimeout = 10 * time.Second

// lastConn numbers connections: toxiproxy wants names.
var lastConn atomic.Int64

// conn is a client's connection and the one to the server that belongs to it.
type conn struct {
	p        *Proxy
	name     string
	up, down *queue

	// Guarded by p.mu.
	changed        *sync.Cond // of this, of the queues, of the proxy's faults
	client, server net.Conn   // server is nil until connected
	over           bool
	stopDialing    context.CancelFunc
}

func newConn(p *Proxy, client net.Conn) *conn {
	c := &conn{p: p, name: strconv.FormatInt(lastConn.Add(1), 10), client: client, stopDialing: func() {}}
	c.changed = sync.NewCond(&p.mu)
	c.up, c.down = &queue{conn: c, counted: true}, &queue{conn: c}
	return c
}

// run connects and passes on until the connection is over.
func (c *conn) run() {
	server, err := c.dial()
	if err != nil {
		c.finish(true) // what a refused client sees, as near as we come
		return
	}
	if server == nil {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { c.down.run(c.client) })
	both.Go(func() { c.up.run(server) })
	c.p.chains.link(c.name, stream.Upstream, source{c.client, c.up}, c.up)
	c.p.chains.link(c.name, stream.Downstream, source{server, c.down}, c.down)
	both.Wait()
	c.finish(false)
}

// dial connects to the server as soon as the network is not frozen; nil and no
// error if the connection is over by then.
func (c *conn) dial() (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	defer cancel()
	c.p.mu.Lock()
	for c.p.frozen && !c.over {
		c.changed.Wait()
	}
	c.stopDialing = cancel
	over := c.over
	c.p.mu.Unlock()
	if over {
		return nil, nil
	}
	var d net.Dialer
	server, err := d.DialContext(ctx, "tcp", c.p.upstream)
	if err != nil {
		return nil, err
	}
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	if c.over {
		_ = server.Close() // nobody knows it yet
		return nil, nil
	}
	c.server = server
	return server, nil
}

func (c *conn) finish(reset bool) {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	c.end(reset)
}

// end closes both sides, once. The caller holds p.mu.
func (c *conn) end(reset bool) {
	if c.over {
		return
	}
	c.over = true
	delete(c.p.conns, c)
	c.stopDialing()
	for _, side := range []net.Conn{c.client, c.server} {
		if side == nil {
			continue
		}
		if tcp, ok := side.(*net.TCPConn); ok && reset {
			_ = tcp.SetLinger(0) // fails only if it is closed
		}
		_ = side.Close() // the peer may have been faster
	}
	c.changed.Broadcast()
}

// source is the side of a connection that a link reads.
type source struct {
	net.Conn
	to *queue
}

// Read remembers that the connection broke, for the other side to see the same.
func (s source) Read(b []byte) (int, error) {
	n, err := s.Conn.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		s.to.breakOff()
	}
	return n, err
}
