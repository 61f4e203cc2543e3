package netfault_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/ackbox/ackbox/internal/integration/netfault"
)

const (
	// deadline bounds a test's waiting; it passes only if something hangs.
	deadline = 30 * time.Second
	// silence is how long nothing must come for a side to count as silent.
	silence = 100 * time.Millisecond
)

// server answers everything it is sent with the same, and keeps it.
type server struct {
	t        *testing.T
	listener *net.TCPListener
	all      sync.WaitGroup

	mu    sync.Mutex
	heard bytes.Buffer
	conns []*net.TCPConn
	ends  []error // of connections, io.EOF for an orderly one
}

// serve listens until the test ends. With echo false it hears, and is mute.
func serve(t *testing.T, echo bool) *server {
	t.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, listener: l}
	s.all.Go(func() {
		for {
			conn, err := l.AcceptTCP()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns = append(s.conns, conn)
			s.mu.Unlock()
			s.all.Go(func() { s.hear(conn, echo) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		s.mu.Lock()
		for _, conn := range s.conns {
			_ = conn.Close()
		}
		s.mu.Unlock()
		s.all.Wait()
	})
	return s
}

func (s *server) hear(conn net.Conn, echo bool) {
	defer conn.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := conn.Read(buf)
		s.mu.Lock()
		s.heard.Write(buf[:n])
		if err != nil {
			s.ends = append(s.ends, err)
		}
		s.mu.Unlock()
		if err != nil {
			return
		}
		if echo {
			if _, err := conn.Write(buf[:n]); err != nil {
				return
			}
		}
	}
}

func (s *server) address() string { return s.listener.Addr().String() }

// told is what all connections together have sent.
func (s *server) told() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.heard.String()
}

// ended is how connections have ended, in order.
func (s *server) ended() []error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]error(nil), s.ends...)
}

// open starts a proxy in front of an echo server.
func open(t *testing.T) (*netfault.Proxy, *server) {
	t.Helper()
	s := serve(t, true)
	return netfault.Start(t, s.address()), s
}

// client is one connection through the proxy.
type client struct {
	*net.TCPConn
	t *testing.T
}

func dial(t *testing.T, p *netfault.Proxy) *client {
	t.Helper()
	to, err := net.ResolveTCPAddr("tcp", p.Address())
	must(t, err)
	conn, err := net.DialTCP("tcp", nil, to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	must(t, conn.SetDeadline(time.Now().Add(deadline)))
	return &client{TCPConn: conn, t: t}
}

func (c *client) say(text string) {
	c.t.Helper()
	if _, err := c.Write([]byte(text)); err != nil {
		c.t.Fatalf("write: %v", err)
	}
}

func (c *client) hears(text string) {
	c.t.Helper()
	buf := make([]byte, len(text))
	if n, err := io.ReadFull(c, buf); err != nil || string(buf) != text {
		c.t.Fatalf("read %d octets (%v), want %d", n, err, len(text))
	}
}

// echoes says something and hears it.
func (c *client) echoes() {
	c.t.Helper()
	c.say("hello")
	c.hears("hello")
}

// hearsNothing checks that the connection is open and silent.
func (c *client) hearsNothing() {
	c.t.Helper()
	must(c.t, c.SetReadDeadline(time.Now().Add(silence)))
	if n, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Fatalf("read %d octets, %v: neither open nor silent", n, err)
	}
	must(c.t, c.SetReadDeadline(time.Now().Add(deadline)))
}

// ends returns how the connection ended.
func (c *client) ends() error {
	c.t.Helper()
	for buf := make([]byte, 1024); ; {
		_, err := c.Read(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			c.t.Fatal("the connection did not end")
		}
		if err != nil {
			return err
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually asks until ok says yes.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	late := time.After(deadline)
	for !ok() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("did not come to pass: %s", what)
		}
	}
}
