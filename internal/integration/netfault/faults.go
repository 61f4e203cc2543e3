package netfault

import (
	"errors"
	"fmt"
	"time"
)

// Cut closes all connections. New ones work.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.endAll(false)
}

// Reset is Cut with an RST to both sides.
func (p *Proxy) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.endAll(true)
}

// CutAfter has all connections cut, once, when n more octets have been sent to
// the server over all of them together; the server is sent exactly those. With
// n below 1 it cuts at once.
func (p *Proxy) CutAfter(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n < 1 {
		p.budget = -1
		p.endAll(false)
		return
	}
	p.budget = n
}

// Refuse closes the listener, and then all connections. Nobody else gets the port.
func (p *Proxy) Refuse() error {
	p.listening.Lock()
	defer p.listening.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	err := p.unlisten()
	p.endAll(false)
	return err
}

// Accept undoes Refuse.
func (p *Proxy) Accept() error {
	p.listening.Lock()
	defer p.listening.Unlock()
	return p.listen()
}

// Freeze silences both directions of all connections, present and future. The
// server hears of new ones when the proxy is thawed. What was on its way to a
// peer when Freeze returns may still arrive.
func (p *Proxy) Freeze() { p.silence(func() { p.frozen = true }) }

// Thaw undoes Freeze. Nothing was lost.
func (p *Proxy) Thaw() { p.silence(func() { p.frozen = false }) }

// HalfOpen silences the server, to connections present and future; clients are
// heard.
func (p *Proxy) HalfOpen() { p.silence(func() { p.halfOpen = true }) }

// Slow delays what is sent, in each direction, by latency, more or less by up
// to jitter, both rounded up to whole milliseconds. It replaces an earlier Slow.
func (p *Proxy) Slow(latency, jitter time.Duration) error {
	if latency < 0 || jitter < 0 {
		return fmt.Errorf("netfault: latency and jitter must be 0 or more, not %v and %v", latency, jitter)
	}
	return p.reshape(func() error {
		return p.chains.set(toxic{Type: "latency", Attributes: map[string]int64{
			"latency": ceil(int64(latency), int64(time.Millisecond)), "jitter": ceil(int64(jitter), int64(time.Millisecond)),
		}})
	})
}

// Throttle bounds what a connection passes in each direction, rounded up to a
// multiple of 1,000 octets. It replaces an earlier Throttle.
func (p *Proxy) Throttle(bytesPerSecond int) error {
	if bytesPerSecond < 1 {
		return fmt.Errorf("netfault: bytes per second must be 1 or more, not %d", bytesPerSecond)
	}
	return p.reshape(func() error {
		return p.chains.set(toxic{Type: "bandwidth", Attributes: map[string]int64{"rate": ceil(int64(bytesPerSecond), 1000)}})
	})
}

// Heal undoes every fault. Connections that were not ended go on, and what was
// stalled or delayed in them arrives.
func (p *Proxy) Heal() error {
	p.silence(func() { p.frozen, p.halfOpen, p.budget = false, false, -1 })
	return errors.Join(p.reshape(p.chains.clear), p.Accept())
}

func ceil(n, unit int64) int64 { return (n + unit - 1) / unit }

// endAll ends all connections. The caller holds p.mu.
func (p *Proxy) endAll(reset bool) {
	for c := range p.conns {
		c.end(reset)
	}
}

// spent cuts what CutAfter announced, unless something else was said since.
func (p *Proxy) spent() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.budget == 0 {
		p.budget = -1
		p.endAll(false)
	}
}

func (p *Proxy) silence(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
	p.tell()
}

// reshape changes toxics. Meanwhile links never wait for a peer that does not
// read or a silent network: toxiproxy would wait with them.
func (p *Proxy) reshape(change func() error) error {
	bend := func(by int) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.elastic += by
		p.tell()
	}
	bend(+1)
	defer bend(-1)
	return change()
}

// tell wakes whoever waits for another state of the proxy. The caller holds p.mu.
func (p *Proxy) tell() {
	for c := range p.conns {
		c.changed.Broadcast()
	}
}
