package netfault

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/ackbox/ackbox/internal/testenv/ports"
)

// Proxy passes connections to one server. Its methods may be called by any
// goroutine, those after Close have no effect.
type Proxy struct {
	upstream string
	address  string
	port     *ports.Port
	all      sync.WaitGroup // accept loop and connections

	listening sync.Mutex // one Refuse, Accept, Heal or Close at a time
	chains    *chains

	mu       sync.Mutex
	listener net.Listener
	conns    map[*conn]bool
	accepted int
	closed   bool

	frozen, halfOpen bool
	budget           int // octets to the server until everything is cut; negative: no end
	elastic          int // queues take whatever comes while it is not 0
}

// Open listens on a free port of 127.0.0.1 for connections to upstream
// (host:port), which need not be up. Close it.
func Open(upstream string) (*Proxy, error) {
	if _, _, err := net.SplitHostPort(upstream); err != nil {
		return nil, fmt.Errorf("netfault: upstream must be host:port: %w", err)
	}
	held, err := ports.Hold()
	if err != nil {
		return nil, err
	}
	p := &Proxy{
		upstream: upstream,
		address:  net.JoinHostPort("127.0.0.1", strconv.Itoa(held.Number)),
		port:     held,
		chains:   newChains(),
		conns:    make(map[*conn]bool),
		budget:   -1,
	}
	if err := p.listen(); err != nil {
		return nil, errors.Join(err, held.Release())
	}
	return p, nil
}

// Start is Open for a test, which it fails, and at whose end it closes.
func Start(tb testing.TB, upstream string) *Proxy {
	tb.Helper()
	p, err := Open(upstream)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := p.Close(); err != nil {
			tb.Error(err)
		}
	})
	return p
}

// Address is where to connect to, the same for the proxy's whole life.
func (p *Proxy) Address() string { return p.address }

// Close ends listener and connections, and returns when all their goroutines
// have ended. A second Close does nothing.
func (p *Proxy) Close() error {
	p.listening.Lock()
	defer p.listening.Unlock()
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil
	}
	p.closed = true
	err := p.unlisten()
	p.endAll(false)
	p.mu.Unlock()
	// What a toxic delays would be waited for.
	err = errors.Join(err, p.reshape(p.chains.clear), p.port.Release())
	p.all.Wait()
	return err
}

// Connections is the number of clients' connections that are open now: not yet
// ended by both sides, nor by the proxy.
func (p *Proxy) Connections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.conns)
}

// Accepted is the number of connections from clients so far.
func (p *Proxy) Accepted() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.accepted
}

// listen opens the listener unless it is open. The caller holds p.listening, or
// is the only one to know p.
func (p *Proxy) listen() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.listener != nil {
		return nil
	}
	l, err := net.Listen("tcp", p.address) //nolint:noctx // an address of this machine: nothing to wait for
	if err != nil {
		return fmt.Errorf("netfault: %w", err)
	}
	p.listener = l
	p.all.Go(func() { p.accept(l) })
	return nil
}

// unlisten closes the listener, if it is open. The caller holds p.mu.
func (p *Proxy) unlisten() error {
	if p.listener == nil {
		return nil
	}
	l := p.listener
	p.listener = nil
	if err := l.Close(); err != nil {
		return fmt.Errorf("netfault: close the listener: %w", err)
	}
	return nil
}

func (p *Proxy) accept(l net.Listener) {
	for {
		client, err := l.Accept()
		switch {
		case err == nil:
			p.admit(l, client)
		case errors.Is(err, net.ErrClosed):
			return
		default: // out of file descriptors, say: that passes
			time.Sleep(10 * time.Millisecond)
		}
	}
}

func (p *Proxy) admit(l net.Listener, client net.Conn) {
	c := newConn(p, client)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns[c] = true
	if p.listener != l { // closed while Accept returned
		c.end(true)
		return
	}
	p.accepted++
	p.all.Go(c.run)
}
