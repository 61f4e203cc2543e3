//go:build linux

package ports_test

import (
	"net"
	"strconv"
	"testing"

	"github.com/ackbox/ackbox/internal/testenv/ports"
)

// Half of all free ports are drawn below, or clients draw them: none is the one that is held.
func TestHeldPortIsNobodyElses(t *testing.T) {
	t.Parallel()
	p, err := ports.Hold()
	if err != nil {
		t.Fatal(err)
	}
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(p.Number))
	for range 2 { // its server comes, goes, and comes again
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatalf("its server does not get it: %v", err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	var d net.Dialer
	d.LocalAddr = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: p.Number}
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = other.Close() })
	if c, err := d.DialContext(t.Context(), "tcp", other.Addr().String()); err == nil {
		_ = c.Close()
		t.Error("a client got it for its own end")
	}
	if err := p.Release(); err != nil {
		t.Fatal(err)
	}
	c, err := d.DialContext(t.Context(), "tcp", other.Addr().String())
	if err != nil {
		t.Fatalf("nobody gets what was let go: %v", err)
	}
	_ = c.Close()
}
