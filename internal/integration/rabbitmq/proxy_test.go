package rabbitmq_test

import (
	"crypto/tls"
	"net"
	"net/url"
	"sync"
	"testing"

	"github.com/ackbox/ackbox/internal/testenv"
)

// proxy ends TLS in the server's place, to be cut and frozen under it. For plain
// connections there is package netfault.
type proxy struct {
	listener net.Listener
	server   string
	all      sync.WaitGroup

	mu     sync.Mutex
	gate   chan struct{} // closed while data may flow
	conns  map[net.Conn]bool
	closed bool
}

// newProxy listens for TLS, and speaks plainly to the test's server.
func newProxy(t *testing.T, cfg *tls.Config) *proxy {
	t.Helper()
	u, err := url.Parse(testenv.AMQPURL(t))
	if err != nil {
		t.Fatal("the test's URL does not parse")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l = tls.NewListener(l, cfg)
	p := &proxy{listener: l, server: u.Host, gate: make(chan struct{}), conns: make(map[net.Conn]bool)}
	close(p.gate)
	p.all.Go(p.accept)
	t.Cleanup(func() {
		_ = l.Close()
		p.thaw()
		p.mu.Lock()
		p.closed = true
		p.mu.Unlock()
		p.cut()
		p.all.Wait()
	})
	return p
}

func (p *proxy) address() string { return p.listener.Addr().String() }

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.server)
		if err != nil {
			_ = client.Close()
			continue
		}
		p.mu.Lock()
		p.conns[client], p.conns[server] = true, true
		over := p.closed
		p.mu.Unlock()
		if over {
			p.cut()
		}
		p.all.Go(func() { p.pipe(server, client) })
		p.all.Go(func() { p.pipe(client, server) })
	}
}

func (p *proxy) pipe(to, from net.Conn) {
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, c := range []net.Conn{to, from} {
			_ = c.Close()
			delete(p.conns, c)
		}
	}()
	buf := make([]byte, 4096)
	for {
		<-p.flow()
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		<-p.flow()
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

func (p *proxy) flow() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.gate
}

// freeze stops reading on both sides, of present and of future connections.
func (p *proxy) freeze() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gate = make(chan struct{})
}

func (p *proxy) thaw() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.gate:
	default:
		close(p.gate)
	}
}

// cut closes all connections.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close()
		delete(p.conns, c)
	}
}
