package rabbitmq_test

import (
	"slices"
	"testing"
	"time"

	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/internal/integration/netfault"
	"github.com/ackbox/ackbox/rabbitmq"
)

// The node in hand goes away: the next one is taken at once, and one that has
// come back again when that goes, too.
func TestNextNodeIsTaken(t *testing.T) {
	t.Parallel()
	var (
		nodes []*netfault.Proxy
		urls  []string
	)
	for range 3 {
		p, via := proxied(t)
		nodes, urls = append(nodes, p), append(urls, via)
	}
	first := slices.IndexFunc(nodes, func(p *netfault.Proxy) bool { return p.Refuse() == nil })
	f := ready(t, rabbitmq.Config{URLs: urls, MinBackoff: deadline, MaxBackoff: deadline})
	f.publish(jobs(work, 1), core.Acked)
	for range 2 {
		in := slices.IndexFunc(nodes, func(p *netfault.Proxy) bool { return p.Connections() > 0 })
		f.must("end a node", nodes[in].Refuse())
		f.must("start another", nodes[first].Accept())
		first = in
		began := time.Now()
		eventually(t, func() bool { // the first may meet what is left of the old connection
			f.must("Ready", f.Ready(f.ctx))
			return f.Publish(f.ctx, jobs(work, 1))[0].Status == core.Acked
		}, func() any { return "nothing is acked" })
		if took := time.Since(began); took > deadline/4 {
			t.Errorf("the next node was taken after %v, want at once", took)
		}
	}
	if f.logged(urls[0]) > 0 {
		t.Error("the password is in the log")
	}
}
