package rabbitmq_test

import (
	"strings"
	"testing"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/rabbitmq"
)

// wantHealth checks what a broker says of itself, within a second or so.
func (f *fixture) wantHealth(live, ready bool, why string) {
	f.t.Helper()
	began := time.Now()
	h := f.Health(f.ctx)
	if h.Part != "rabbitmq" || h.Live != live || h.Ready != ready || (why == "") != (h.Why == "") || !strings.Contains(h.Why, why) {
		f.t.Errorf("health is %+v, want live %v, ready %v, because %q", h, live, ready, why)
	}
	if took := time.Since(began); took > 5*time.Second {
		f.t.Errorf("it took %v", took)
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	proxy, via := proxied(t)
	f := ready(t, rabbitmq.Config{URL: via})
	f.wantHealth(true, true, "")
	proxy.Freeze()
	proxy.Cut()
	// That a connection is gone is heard in a moment.
	eventually(t, func() bool { return !f.Health(f.ctx).Ready }, func() any { return f.Health(f.ctx) })
	f.wantHealth(true, false, "127.0.0.1")
	proxy.Thaw()
	eventually(t, func() bool { return f.Health(f.ctx).Ready }, func() any { return f.Health(f.ctx) })
	f.must("close", f.Close())
	f.wantHealth(false, false, "closed")
}

// A queue that cannot be declared is told, and is no reason to be taken out of service.
func TestHealthTellsOfMissingQueues(t *testing.T) {
	t.Parallel()
	f := open(t, rabbitmq.Config{
		Passive:  true, // and nobody has made it
		Topology: ackbox.Topology{Queues: []ackbox.Queue{{Name: "nobody.made.this"}}},
	})
	f.must("ready", f.Ready(f.ctx))
	f.wantHealth(true, true, "nobody.made.this")
}
