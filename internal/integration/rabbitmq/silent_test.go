//go:build unix

package rabbitmq_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/internal/testenv/servers"
	"github.com/ackbox/ackbox/rabbitmq"
)

const (
	silent  = "silent" // full, and suspended
	desert  = "desert" // empty, and suspended
	classic = "classic"
)

// suspend has the process of a queue answer nothing, as if its leader were away,
// until resume is called.
func suspend(t *testing.T, node *servers.RabbitMQ, queue string) (resume func()) {
	t.Helper()
	do := func(verb string) {
		t.Helper()
		process := fmt.Sprintf(`list_to_existing_atom("%%2F_%s")`, queue)
		if queue == classic {
			process = fmt.Sprintf(`(fun() -> {ok, Q} = rabbit_amqqueue:lookup(rabbit_misc:r(<<"/">>, queue, <<"%s">>)), amqqueue:get_pid(Q) end)()`, queue)
		}
		if _, err := node.Ctl(context.Background(), "eval", "ok = sys:"+verb+"("+process+")."); err != nil {
			t.Fatal(err)
		}
	}
	do("suspend")
	over := false
	resume = func() {
		if !over {
			over = true
			do("resume")
		}
	}
	t.Cleanup(resume)
	return resume
}

// Queues that do not answer, and calls whose caller goes away, cost the consumers
// and publishers of other queues nothing, after a reconnect either; and nobody
// takes a queue that cannot answer for an empty one.
func TestSilentQueues(t *testing.T) {
	t.Parallel()
	node := ownNode(t)
	f := ready(t, rabbitmq.Config{
		URL: node.URL(), ConfirmTimeout: 2 * time.Second, DialTimeout: 3 * time.Second, MaxBackoff: time.Second,
		Topology: ackbox.Topology{Queues: []ackbox.Queue{{Name: silent}, {Name: desert}, {Name: classic, Type: ackbox.Classic}, {Name: good}}},
	})
	for _, queue := range []string{silent, classic} {
		f.publish(jobs(queue, 50), core.Acked)
		f.waits(queue, 50)
	}
	f.waits(desert, 0)
	var resume []func()
	for _, queue := range []string{silent, desert, classic} {
		resume = append(resume, suspend(t, node, queue))
	}
	if _, err := node.Ctl(f.ctx, "close_all_connections", "test"); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return f.Ready(f.ctx) == nil && f.Publish(f.ctx, jobs(good, 1))[0].Status == core.Acked }, func() any { return f.log })
	s := f.subscribe(good, 1)
	waits := map[string]*subscription{}
	for _, queue := range []string{silent, desert, classic} {
		waits[queue] = f.subscribe(queue, 1)
	}
	f.must("Ack", s.next().Receipt.Ack())
	const lost = "rabbitmq: not connected"
	before := f.logged(lost)
	for end := time.Now().Add(12 * time.Second); time.Now().Before(end); {
		for _, queue := range []string{silent, desert, classic} {
			began := time.Now()
			n, err := f.Waiting(f.ctx, queue)
			if err == nil || errors.Is(err, core.ErrNoQueue) {
				t.Fatalf("Waiting says of %s, which does not answer: %d, %v", queue, n, err)
			}
			if queue != classic && !errors.Is(err, core.ErrUnsure) {
				t.Errorf("Waiting says of %s: %v", queue, err)
			}
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("Waiting took %v", took)
			}
		}
		short, cancel := context.WithTimeout(f.ctx, 20*time.Millisecond)
		_, _ = f.RequeueDead(short, good, ackbox.DeadFilter{}, 1) // and its caller goes
		_, _ = f.Waiting(short, classic)
		cancel()
		f.publish(jobs(good, 1), core.Acked)
		f.must("Ack", s.next().Receipt.Ack())
	}
	if n := f.logged(lost) - before; n > 0 {
		t.Errorf("%d connections were lost by calls that were not answered", n)
	}
	o := f.publish(append(jobs(silent, 3), jobs(good, 1)...), core.Unknown, core.Unknown, core.Unknown, core.Acked)
	if !o[0].Stalled {
		t.Errorf("outcome %+v", o[0])
	}
	f.must("Ack", s.next().Receipt.Ack())
	if got := f.Unavailable(); !slices.Contains(got, silent) || slices.Contains(got, good) {
		t.Errorf("%v are not available", got)
	}
	for _, r := range resume {
		r()
	}
	for _, queue := range []string{silent, classic} {
		for range 50 {
			f.must("Ack", waits[queue].next().Receipt.Ack())
		}
	}
	if len(s.done) > 0 {
		t.Errorf("the consumer of another queue was lost: %v", <-s.done)
	}
}
