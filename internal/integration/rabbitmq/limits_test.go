//go:build unix

package rabbitmq_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/rabbitmq"
)

// A broker that allows fewer channels than a batch has destinations, the smallest
// frames and quick heartbeats makes it slower, and costs no connection.
func TestNegotiatedLimits(t *testing.T) {
	t.Parallel()
	node := ownNode(t, "channel_max = 3", "frame_max = 4096", "heartbeat = 1")
	var topology ackbox.Topology
	for i := range 12 {
		topology.Queues = append(topology.Queues, ackbox.Queue{Name: fmt.Sprint("q", i), Type: ackbox.Classic})
	}
	f := ready(t, rabbitmq.Config{URL: node.URL(), Topology: topology})
	var all sync.WaitGroup
	for range 6 {
		all.Go(func() {
			var batch []ackbox.Job
			for _, q := range topology.Queues {
				batch = append(batch, jobs(q.Name, 10)...)
			}
			for i := range batch {
				batch[i].Headers = map[string]string{"h": strings.Repeat("v", 3000)}
			}
			batch[7].Headers = map[string]string{"h": strings.Repeat("v", 4090)}
			for i, o := range f.Publish(f.ctx, batch) {
				want := core.Acked
				if i == 7 {
					want = core.NackedByBroker
				}
				if o.Status != want {
					t.Errorf("job %d is %v (%s), want %v", i, o.Status, o.Reason, want)
				}
			}
		})
	}
	all.Wait()
	f.waits("q11", 60)
	s := f.subscribe("q0", 1)
	d := s.next()
	f.must("Bury", f.Bury(f.ctx, d, strings.Repeat("c", 1024)))
	f.must("Ack", d.Receipt.Ack())
	idle := time.After(3 * time.Second) // several heartbeats
	<-idle
	f.publish(jobs("q1", 1), core.Acked)
	if f.log.String() != "" {
		t.Errorf("a limit cost a connection:\n%s", f.log)
	}
}
