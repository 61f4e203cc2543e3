package rabbitmq_test

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/internal/testenv"
	"github.com/ackbox/ackbox/rabbitmq"
)

// refused waits until the broker object has said why it cannot be ready, and
// checks that a repair heals it without help.
func (f *fixture) refused(repair func(), want ...string) {
	f.t.Helper()
	ctx, cancel := context.WithCancel(f.ctx)
	defer cancel()
	answer := make(chan error, 1)
	go func() { answer <- f.Ready(ctx) }()
	// A refused login is answered after 3 s, against guessing.
	eventually(f.t, func() bool { return f.logged("level=ERROR") > 0 }, func() any { return f.log })
	select { // several more tries
	case err := <-answer:
		f.t.Fatalf("Ready returned %v in spite of the refusal", err)
	case <-time.After(700 * time.Millisecond):
	}
	cancel()
	err := <-answer
	if !errors.Is(err, context.Canceled) {
		f.t.Errorf("error %q does not wrap the context's", err)
	}
	for _, text := range want {
		if !strings.Contains(err.Error(), text) {
			f.t.Errorf("error %q does not contain %q", err, text)
		}
		if f.logged(text) == 0 {
			f.t.Errorf("%q was not logged:\n%s", text, f.log)
		}
	}
	if n := f.logged("level=ERROR"); n != 1 {
		f.t.Errorf("the refusal is logged %d times, want once:\n%s", n, f.log)
	}
	if repair == nil {
		return
	}
	repair()
	f.must("Ready after the repair", f.Ready(f.ctx))
	f.publish(jobs(work, 1), core.Acked)
}

const good = "good"

// waiting checks that exactly what needs an entity that cannot be declared waits,
// that people are told once why, and that a repair heals it without help.
func (f *fixture) waiting(bad []ackbox.Job, repair func(), want string) {
	f.t.Helper()
	f.must("Ready", f.Ready(f.ctx))
	eventually(f.t, func() bool { return f.logged("level=ERROR") > 0 }, func() any { return f.log })
	s := f.subscribe(good, 1)
	batch := append(slices.Clone(bad), jobs(good, 2)...)
	tries := func() []core.Outcome { return f.Publish(f.ctx, batch) }
	for _, o := range tries()[:len(bad)] {
		if o.Status != core.Unknown || !o.Stalled || !o.Unpublished || !strings.Contains(o.Reason, want) {
			f.t.Errorf("outcome %+v: want one that was not published because of %q", o, want)
		}
	}
	for range 2 {
		f.must("Ack", s.next().Receipt.Ack()) // the others are neither refused nor late
	}
	eventually(f.t, func() bool { return f.logged(want) > 0 }, func() any { return f.log })
	if n := f.logged("level=ERROR"); n != 1 {
		f.t.Errorf("the refusal is logged %d times, want once:\n%s", n, f.log)
	}
	if repair == nil {
		return
	}
	repair()
	eventually(f.t, func() bool {
		f.must("Ready", f.Ready(f.ctx))
		return len(f.Unavailable()) == 0
	}, func() any { return f.Unavailable() })
	batch = bad
	eventually(f.t, func() bool { return tries()[0].Status == core.Acked }, func() any { return f.log })
	if n := f.logged("declared after all"); n != 1 {
		f.t.Errorf("the repair is logged %d times, want once:\n%s", n, f.log)
	}
}

// A queue with other arguments than ours: only it waits, wherever it stands in the
// topology, for publishing and consuming.
func TestDriftStopsOneQueue(t *testing.T) {
	t.Parallel()
	for name, queues := range map[string][]ackbox.Queue{
		"first": {{Name: work}, {Name: good}}, "last": {{Name: good}, {Name: work}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := testenv.Rabbit(t)
			server.DeclareQueue(work, map[string]any{"x-queue-type": "classic"})
			f := open(t, rabbitmq.Config{Topology: ackbox.Topology{Queues: queues}})
			s := f.subscribe(work, 1) // waits as well
			f.waiting(jobs(work, 1), func() {
				if got := f.Unavailable(); !slices.Equal(got, []string{work}) {
					t.Errorf("%v are not available, want only %q", got, work)
				}
				server.DeleteQueue(work)
			}, "queue work: argument x-queue-type is classic on the server, quorum in Config.Topology")
			f.must("Ack", s.next().Receipt.Ack())
		})
	}
}

func TestDriftOfAnExchangeStopsItsEvents(t *testing.T) {
	t.Parallel()
	server := testenv.Rabbit(t)
	server.DeclareExchange("events", "direct")
	f := open(t, rabbitmq.Config{Topology: ackbox.Topology{
		Queues:    []ackbox.Queue{{Name: work, Bindings: []ackbox.Binding{{Exchange: "events"}}}, {Name: good}},
		Exchanges: []ackbox.Exchange{{Name: "events", Kind: ackbox.Topic}},
	}})
	event := jobs("", 1)
	event[0].Exchange, event[0].Mandatory = "events", false
	f.waiting(event, func() {
		if got := f.Unavailable(); len(got) > 0 {
			t.Errorf("%v are not available: queues have nothing to do with it", got)
		}
		f.publish(jobs(work, 1), core.Acked)
		server.DeleteExchange("events")
	}, "exchange events: argument type is direct on the server, topic in Config.Topology")
}

// A binding that cannot be made is an event that would be lost without a word: the
// events of its exchange wait, whoever else is bound. Here somebody's exclusive
// queue has the name (405).
func TestMissingBindingStopsItsEvents(t *testing.T) {
	t.Parallel()
	somebody := foreigner(t)
	if _, err := somebody.QueueDeclare(work, false, false, true, false, nil); err != nil {
		t.Fatal(err)
	}
	bindings := []ackbox.Binding{{Exchange: "events"}}
	f := open(t, rabbitmq.Config{Topology: ackbox.Topology{
		Queues:    []ackbox.Queue{{Name: work, Bindings: bindings}, {Name: good, Bindings: bindings}},
		Exchanges: []ackbox.Exchange{{Name: "events", Kind: ackbox.Fanout}},
	}})
	f.must("Ready", f.Ready(f.ctx))
	event := jobs("", 1)
	event[0].Exchange, event[0].Mandatory = "events", false
	if o := f.publish(event, core.Unknown)[0]; !o.Stalled || !o.Unpublished {
		t.Errorf("outcome %+v", o)
	}
	f.publish(jobs(good, 1), core.Acked)
	if _, err := somebody.QueueDelete(work, false, false, false); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return f.Publish(f.ctx, event)[0].Status == core.Acked }, func() any { return f.log })
	if d := get(t, foreigner(t), work); d.MessageId != event[0].ID {
		t.Error("another message came")
	}
}

func TestDriftIsTriedSlowly(t *testing.T) {
	t.Parallel()
	testenv.Rabbit(t).DeclareQueue(work, map[string]any{"x-queue-type": "classic"})
	p, via := proxied(t)
	f := open(t, rabbitmq.Config{
		URL: via, MinBackoff: time.Millisecond, MaxBackoff: 300 * time.Millisecond,
		Topology: ackbox.Topology{Queues: []ackbox.Queue{{Name: work}, {Name: good}}},
	})
	f.waiting(jobs(work, 1), nil, "x-queue-type")
	end := time.After(time.Second)
	for done := false; !done; {
		f.must("Ready", f.Ready(f.ctx))
		f.publish(jobs(work, 1), core.Unknown)
		select {
		case <-end:
			done = true
		default:
		}
	}
	if n := p.Accepted(); n != 3 {
		t.Errorf("%d connections, want one of each kind", n)
	}
}

func TestPassiveOnlyChecks(t *testing.T) {
	t.Parallel()
	server := testenv.Rabbit(t)
	f := open(t, rabbitmq.Config{Passive: true})
	f.must("Ready", f.Ready(f.ctx))
	if o := f.publish(jobs(work, 1), core.Unknown)[0]; !o.Stalled || !o.Unpublished || !strings.Contains(o.Reason, "queue work does not exist") {
		t.Errorf("outcome %+v", o)
	}
	server.DeclareQueue(work, map[string]any{"x-queue-type": "classic"})
	eventually(t, func() bool { return f.Publish(f.ctx, jobs(work, 1))[0].Status == core.Acked }, func() any { return f.log })
	// Nor are retry and dead queues declared.
	d := core.Delivery{Job: jobs(work, 1)[0]}
	if err := f.Retry(f.ctx, d, time.Second); err == nil || !strings.Contains(err.Error(), "work.retry.1000 does not exist") {
		t.Errorf("Retry: %v", err)
	}
	if err := f.Bury(f.ctx, d, "cause"); err == nil || !strings.Contains(err.Error(), "work.dead does not exist") {
		t.Errorf("Bury: %v", err)
	}
	server.DeclareQueue("work.dead", map[string]any{})
	f.must("Bury", f.Bury(f.ctx, d, "cause"))
	f.waits("work.dead", 1)
}

func TestWrongPasswordHealsAndIsNeverShown(t *testing.T) {
	t.Parallel()
	const password = "s3cr3t-pa55word"
	u, err := url.Parse(testenv.AMQPURL(t))
	if err != nil {
		t.Fatal("the test's URL does not parse")
	}
	u.User = url.UserPassword(u.User.Username(), password)
	f := open(t, rabbitmq.Config{URL: u.String()})
	f.refused(nil, "403")
	o := f.publish(jobs(work, 1), core.Unknown)
	_, errWaiting := func() (int, error) {
		ctx, cancel := context.WithTimeout(f.ctx, 100*time.Millisecond)
		defer cancel()
		return f.Waiting(ctx, work)
	}()
	for _, text := range []string{o[0].Reason, f.log.String(), f.String(), errWaiting.Error()} {
		if strings.Contains(text, password) {
			t.Errorf("%q shows the password", text)
		}
	}
}

func TestUnknownVhostIsARefusal(t *testing.T) {
	t.Parallel()
	u, err := url.Parse(testenv.AMQPURL(t))
	if err != nil {
		t.Fatal("the test's URL does not parse")
	}
	u.Path = "/no-such-vhost"
	open(t, rabbitmq.Config{URL: u.String()}).refused(nil, "vhost")
}

func TestQueuesAreDeclaredAsConfigured(t *testing.T) {
	t.Parallel()
	f := ready(t, rabbitmq.Config{
		RetryLadder: []time.Duration{time.Minute},
		Topology: ackbox.Topology{
			Exchanges: []ackbox.Exchange{{Name: "d"}, {Name: "t", Kind: ackbox.Topic}, {Name: "f", Kind: ackbox.Fanout}},
			Queues: []ackbox.Queue{
				{Name: "q", Bindings: []ackbox.Binding{{Exchange: "d", RoutingKey: "direct"}, {Exchange: "t", RoutingKey: "*.b.#"}}},
				{Name: "c", Type: ackbox.Classic, Bindings: []ackbox.Binding{{Exchange: "f"}}},
			},
		},
	})
	for _, queue := range []string{"q", "c"} {
		d := core.Delivery{Job: jobs(queue, 1)[0]}
		f.must("Retry", f.Retry(f.ctx, d, time.Second))
		f.must("Bury", f.Bury(f.ctx, d, "cause"))
	}
	want := []string{"c classic", "c.dead classic", "c.retry.60000 classic", "q quorum", "q.dead quorum", "q.retry.60000 quorum"}
	var got []string
	eventually(t, func() bool {
		got = nil
		for _, q := range testenv.Rabbit(t).Queues() {
			got = append(got, q.Name+" "+q.Type)
		}
		slices.Sort(got)
		return slices.Equal(got, want)
	}, func() any { return got })

	routed := func(exchange, key, queue string) {
		t.Helper()
		job := jobs("q", 1)[0]
		job.Exchange, job.RoutingKey = exchange, key
		status := core.Acked
		if queue == "" {
			status = core.Returned
		}
		f.publish([]ackbox.Job{job}, status)
		if queue != "" {
			if d := get(t, foreigner(t), queue); d.MessageId != job.ID {
				t.Errorf("%s %q: another message came", exchange, key)
			}
		}
	}
	routed("d", "direct", "q")
	routed("d", "other", "")
	routed("t", "a.b", "q")
	routed("t", "a.b.c.d", "q")
	routed("t", "a.c", "")
	routed("f", "anything", "c")
}

func TestWaitingForAMissingQueue(t *testing.T) {
	t.Parallel()
	f := ready(t, rabbitmq.Config{})
	_, err := f.Waiting(f.ctx, "nowhere")
	if !errors.Is(err, core.ErrNoQueue) || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("error is %v, want ErrNoQueue", err)
	}
	testenv.Rabbit(t).DeleteQueue(work)
	if _, err = f.Waiting(f.ctx, work); err != nil && !errors.Is(err, core.ErrNoQueue) {
		t.Errorf("error is %v, want ErrNoQueue or a count", err)
	}
	ch := foreigner(t)
	if _, err := ch.QueueDeclare("other", true, false, false, false, amqp.Table{"x-queue-type": "quorum"}); err != nil {
		t.Fatal(err)
	}
	f.waits("other", 0) // it need not be in the topology
}
