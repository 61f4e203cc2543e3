package netfault_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ackbox/ackbox/internal/integration/netfault"
)

func TestPassesEverythingAndCounts(t *testing.T) {
	t.Parallel()
	p, s := open(t)
	a, b := dial(t, p), dial(t, p)
	a.echoes()
	b.echoes()
	if p.Accepted() != 2 || p.Connections() != 2 {
		t.Errorf("%d accepted, %d open, want 2 and 2", p.Accepted(), p.Connections())
	}
	big := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	var sending sync.WaitGroup
	sending.Go(func() { a.say(string(big)); must(t, a.CloseWrite()) })
	back, err := io.ReadAll(a)
	sending.Wait()
	if err != nil || !bytes.Equal(back, big) {
		t.Errorf("1 MB came back as %d octets (%v)", len(back), err)
	}
	eventually(t, "the count goes back to 1", func() bool { return p.Connections() == 1 })
	if p.Accepted() != 2 || len(s.ended()) != 1 || !errors.Is(s.ended()[0], io.EOF) {
		t.Errorf("%d accepted, want 2; the server saw %v, want an EOF", p.Accepted(), s.ended())
	}
}

func TestUpstreamNeedNotBeUp(t *testing.T) {
	t.Parallel()
	gone, _ := open(t) // its port, unlike a closed listener's, stays nobody's
	must(t, gone.Refuse())
	p := netfault.Start(t, gone.Address())
	conn, err := net.DialTimeout("tcp", p.Address(), deadline)
	if err == nil { // the reset may also be faster than connect
		_, err = io.ReadAll(conn)
		_ = conn.Close()
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the connection ended with %v", err)
	}
	if _, err := netfault.Open("no port"); err == nil || !strings.Contains(err.Error(), "host:port") {
		t.Errorf("error is %v", err)
	}
}

func TestServersResetReachesTheClient(t *testing.T) {
	t.Parallel()
	p, s := open(t)
	c := dial(t, p)
	c.echoes()
	s.mu.Lock()
	must(t, s.conns[0].SetLinger(0))
	must(t, s.conns[0].Close())
	s.mu.Unlock()
	if err := c.ends(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the connection ended with %v", err)
	}
}

// Whatever was going on, Close returns soon; goleak sees to the rest.
func TestCloseUnderEveryFault(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]func(*netfault.Proxy) error{
		"none":      func(*netfault.Proxy) error { return nil },
		"refusing":  func(p *netfault.Proxy) error { return p.Refuse() },
		"frozen":    func(p *netfault.Proxy) error { p.Freeze(); return nil },
		"half open": func(p *netfault.Proxy) error { p.HalfOpen(); return nil },
		"slow":      func(p *netfault.Proxy) error { return p.Slow(time.Hour, 0) },
		"throttled": func(p *netfault.Proxy) error { return p.Throttle(1) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, true)
			p, err := netfault.Open(s.address())
			must(t, err)
			clients := []*client{dial(t, p), dial(t, p)}
			clients[0].echoes()
			must(t, fault(p))
			if name != "refusing" {
				clients = append(clients, dial(t, p))
				for _, c := range clients {
					c.say(strings.Repeat("x", 30_000))
				}
				eventually(t, "all are accepted", func() bool { return p.Accepted() == 3 })
			}
			began := time.Now()
			must(t, p.Close())
			must(t, p.Close())
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("Close took %v", took)
			}
			for _, c := range clients {
				_ = c.ends()
			}
			if p.Connections() != 0 {
				t.Errorf("%d connections are open", p.Connections())
			}
			if err := errors.Join(p.Accept(), p.Heal()); err != nil {
				t.Error(err)
			}
			if conn, err := net.Dial("tcp", p.Address()); err == nil {
				_ = conn.Close()
				t.Error("something listens after Close")
			}
		})
	}
}
