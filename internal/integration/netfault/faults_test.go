package netfault_test

import (
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

func TestCut(t *testing.T) {
	t.Parallel()
	p, s := open(t)
	a, b := dial(t, p), dial(t, p)
	a.echoes()
	b.echoes()
	p.Cut()
	if n := p.Connections(); n != 0 {
		t.Errorf("%d connections are open", n)
	}
	for _, c := range []*client{a, b} {
		if err := c.ends(); !errors.Is(err, io.EOF) {
			t.Errorf("the client saw %v", err)
		}
	}
	eventually(t, "the server sees both end", func() bool { return len(s.ended()) == 2 })
	dial(t, p).echoes()
}

func TestReset(t *testing.T) {
	t.Parallel()
	p, s := open(t)
	c := dial(t, p)
	c.echoes()
	p.Reset()
	if err := c.ends(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the client saw %v", err)
	}
	eventually(t, "the server sees the end", func() bool { return len(s.ended()) == 1 })
	if err := s.ended()[0]; !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the server saw %v", err)
	}
	dial(t, p).echoes()
}

func TestRefuseAndAccept(t *testing.T) {
	t.Parallel()
	p, _ := open(t)
	for range 20 {
		c := dial(t, p)
		c.echoes()
		must(t, p.Refuse())
		must(t, p.Refuse())
		_ = c.ends()
		if conn, err := net.Dial("tcp", p.Address()); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatalf("connecting gives %v, %v", conn, err)
		}
		must(t, p.Accept())
		must(t, p.Accept())
		dial(t, p).echoes()
	}
	must(t, p.Refuse())
	must(t, p.Heal())
	dial(t, p).echoes()
}

func TestFreezeLosesNothing(t *testing.T) {
	t.Parallel()
	p, s := open(t)
	old := dial(t, p)
	old.echoes()
	p.Freeze()
	fresh := dial(t, p)
	// More than the buffers hold: the writer blocks until the thaw.
	big := strings.Repeat("0123456789abcdef", 1<<19)
	var sending sync.WaitGroup
	sending.Go(func() { old.say(big) })
	fresh.say("fresh")
	old.hearsNothing()
	fresh.hearsNothing()
	if got := s.told(); got != "hello" {
		t.Errorf("the server was told %d octets", len(got))
	}
	s.mu.Lock()
	conns := len(s.conns)
	s.mu.Unlock()
	if conns != 1 || p.Connections() != 2 {
		t.Errorf("the server has %d connections, the proxy %d, want 1 and 2", conns, p.Connections())
	}
	p.Thaw()
	fresh.hears("fresh")
	old.hears(big)
	sending.Wait()
	old.echoes()
}

func TestFreezeHidesTheEnd(t *testing.T) {
	t.Parallel()
	p, s := open(t)
	a, b := dial(t, p), dial(t, p)
	a.echoes()
	p.Freeze()
	a.say("last words")
	must(t, a.Close())
	b.hearsNothing() // meanwhile
	if n := len(s.ended()); n != 0 {
		t.Errorf("the server saw %d ends through a frozen network", n)
	}
	p.Thaw()
	eventually(t, "the end comes", func() bool { return len(s.ended()) == 1 })
	if got := s.told(); got != "hellolast words" {
		t.Errorf("the server was told %q", got)
	}
}

func TestFrozenConnectionsCanBeCut(t *testing.T) {
	t.Parallel()
	p, _ := open(t)
	old := dial(t, p)
	old.echoes()
	p.Freeze()
	fresh := dial(t, p)
	eventually(t, "the new one is accepted", func() bool { return p.Accepted() == 2 })
	p.Cut()
	_ = old.ends()
	_ = fresh.ends()
	p.Thaw()
	dial(t, p).echoes()
}

func TestHalfOpen(t *testing.T) {
	t.Parallel()
	p, s := open(t)
	old := dial(t, p)
	old.echoes()
	p.HalfOpen()
	old.say("old")
	eventually(t, "it arrives", func() bool { return s.told() == "helloold" })
	fresh := dial(t, p)
	fresh.say("fresh")
	eventually(t, "it arrives", func() bool { return s.told() == "helloold"+"fresh" })
	old.hearsNothing()
	fresh.hearsNothing()
	must(t, p.Heal())
	old.hears("old")
	fresh.hears("fresh")
}

func TestSlow(t *testing.T) {
	t.Parallel()
	p, _ := open(t)
	old := dial(t, p)
	old.echoes()
	const latency = 60 * time.Millisecond
	must(t, p.Slow(latency, 0))
	for _, c := range []*client{old, dial(t, p)} {
		began := time.Now()
		c.echoes()
		if took := time.Since(began); took < 2*latency {
			t.Errorf("there and back took %v, want twice %v", took, latency)
		}
	}
	must(t, p.Slow(2*latency, latency)) // replaces
	began := time.Now()
	old.echoes()
	if took := time.Since(began); took < 2*latency {
		t.Errorf("there and back took %v, want twice %v", took, latency)
	}
	must(t, p.Slow(time.Hour, 0))
	old.say("on its way")
	old.hearsNothing()
	must(t, p.Heal())
	old.hears("on its way")
	if err := p.Slow(-1, 0); err == nil || !strings.Contains(err.Error(), "0 or more") {
		t.Errorf("error is %v", err)
	}
}

func TestThrottle(t *testing.T) {
	t.Parallel()
	p, _ := open(t)
	old := dial(t, p)
	old.echoes()
	must(t, p.Throttle(50_000))
	text := strings.Repeat("0123456789", 2000) // 0.4 s there and, meanwhile, back
	for _, c := range []*client{old, dial(t, p)} {
		began := time.Now()
		c.say(text)
		c.hears(text)
		if took := time.Since(began); took < 300*time.Millisecond {
			t.Errorf("20 KB at 50 KB/s took %v", took)
		}
	}
	must(t, p.Throttle(1))
	old.say(text)
	old.hearsNothing()
	must(t, p.Heal())
	old.hears(text)
	if err := p.Throttle(0); err == nil || !strings.Contains(err.Error(), "1 or more") {
		t.Errorf("error is %v", err)
	}
}

func TestCutAfter(t *testing.T) {
	t.Parallel()
	p, s := open(t)
	a, b := dial(t, p), dial(t, p)
	a.echoes() // before: does not count
	p.CutAfter(12)
	a.echoes()
	b.echoes()
	a.say("abcdef")
	_ = a.ends()
	_ = b.ends()
	eventually(t, "the server sees both end", func() bool { return len(s.ended()) == 2 })
	if got := s.told(); got != "hellohellohelloab" {
		t.Errorf("the server was told %q", got)
	}
	c := dial(t, p) // once
	c.say(strings.Repeat("x", 100))
	c.hears(strings.Repeat("x", 100))
	p.CutAfter(1)
	must(t, p.Heal())
	c.echoes()
	p.CutAfter(0)
	_ = c.ends()
	dial(t, p).echoes()
}

// toxiproxy's own proxy would wait for the peer, or drop octets after 5 s.
func TestFaultsChangeWhileAPeerDoesNotRead(t *testing.T) {
	t.Parallel()
	s := serve(t, true)
	p := netfault.Start(t, s.address())
	c := dial(t, p)
	text := strings.Repeat("0123456789abcdef", 1<<19)
	var sending sync.WaitGroup
	sending.Go(func() { c.say(text) }) // blocks: nobody reads the echo
	before, since := 0, time.Now()
	eventually(t, "buffers are full", func() bool {
		now := len(s.told())
		still := now > 0 && now == before && time.Since(since) > silence
		if now != before {
			before, since = now, time.Now()
		}
		return still
	})
	began := time.Now()
	for range 10 {
		p.Freeze()
		must(t, p.Slow(time.Millisecond, time.Millisecond))
		must(t, p.Throttle(1_000_000))
		p.Thaw()
		must(t, p.Throttle(100_000_000))
		must(t, p.Heal())
	}
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("60 faults took %v", took)
	}
	c.hears(text)
	sending.Wait()
}

// Many connections, in all states, under all faults: nothing hangs or leaks, and
// who survives hears exactly what it said.
func TestEverythingAtOnce(t *testing.T) {
	t.Parallel()
	p, _ := open(t)
	stop := make(chan struct{})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					converse(t, p)
				}
			}
		})
	}
	for range 15 {
		for _, fault := range []func() error{
			func() error { p.Freeze(); return nil },
			func() error { return p.Slow(time.Millisecond, time.Millisecond) },
			func() error { p.Thaw(); return nil },
			func() error { p.HalfOpen(); return nil },
			func() error { return p.Throttle(1_000_000) },
			func() error { p.CutAfter(10_000); return nil },
			p.Heal,
			func() error { p.Reset(); return nil },
			p.Refuse,
			p.Accept,
			func() error { p.Cut(); return nil },
		} {
			must(t, fault())
		}
		// Let some through in between.
		served := p.Accepted() + 4
		eventually(t, "clients come", func() bool { return p.Accepted() >= served })
	}
	must(t, p.Heal())
	dial(t, p).echoes()
	close(stop)
	all.Wait()
}

// converse connects, says some, hears it, until it ends or all is said.
func converse(t *testing.T, p *netfault.Proxy) {
	conn, err := net.DialTimeout("tcp", p.Address(), deadline)
	if err != nil {
		return
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(deadline))
	for i := range 20 {
		said := strings.Repeat(string(rune('a'+i)), 5000)
		if _, err := conn.Write([]byte(said)); err != nil {
			return
		}
		heard := make([]byte, len(said))
		n, err := io.ReadFull(conn, heard)
		if string(heard[:n]) != said[:n] {
			t.Error("something else was heard")
		}
		if err != nil {
			var late net.Error
			if errors.As(err, &late) && late.Timeout() {
				t.Error("a connection hung")
			}
			return
		}
	}
}
