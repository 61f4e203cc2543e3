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
	f.publish(jobs(work, 1), ackbox.Acked)
}

func TestDriftNamesQueueAndArgument(t *testing.T) {
	t.Parallel()
	server := testenv.Rabbit(t)
	server.DeclareQueue(work, map[string]any{"x-queue-type": "classic"})
	f := open(t, rabbitmq.Config{})
	f.refused(func() { server.DeleteQueue(work) },
		"queue work: argument x-queue-type is classic on the server, quorum in Config.Topology")
}

func TestDriftOfAnExchange(t *testing.T) {
	t.Parallel()
	server := testenv.Rabbit(t)
	server.DeclareExchange("events", "direct")
	f := open(t, rabbitmq.Config{Topology: ackbox.Topology{
		Queues: []ackbox.Queue{{Name: work}}, Exchanges: []ackbox.Exchange{{Name: "events", Kind: ackbox.Topic}},
	}})
	f.refused(func() { server.DeleteExchange("events") },
		"exchange events: argument type is direct on the server, topic in Config.Topology")
}

func TestDriftIsTriedSlowly(t *testing.T) {
	t.Parallel()
	testenv.Rabbit(t).DeclareQueue(work, map[string]any{"x-queue-type": "classic"})
	p, via := proxied(t)
	f := open(t, rabbitmq.Config{URL: via, MinBackoff: time.Millisecond, MaxBackoff: 300 * time.Millisecond})
	f.refused(nil, "x-queue-type")
	if n := p.Accepted(); n > 6 {
		t.Errorf("%d connections in 0.7 s, retried every 0.15 to 0.3 s: a hot loop", n)
	}
}

func TestPassiveOnlyChecks(t *testing.T) {
	t.Parallel()
	server := testenv.Rabbit(t)
	f := open(t, rabbitmq.Config{Passive: true})
	f.refused(func() { server.DeclareQueue(work, map[string]any{"x-queue-type": "classic"}) }, "queue work does not exist")
	// Nor are retry and dead queues declared.
	d := ackbox.Delivery{Job: jobs(work, 1)[0]}
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
	o := f.publish(jobs(work, 1), ackbox.Unknown)
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
		d := ackbox.Delivery{Job: jobs(queue, 1)[0]}
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
		status := ackbox.Acked
		if queue == "" {
			status = ackbox.Returned
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
	if !errors.Is(err, ackbox.ErrNoQueue) || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("error is %v, want ErrNoQueue", err)
	}
	testenv.Rabbit(t).DeleteQueue(work)
	if _, err = f.Waiting(f.ctx, work); err != nil && !errors.Is(err, ackbox.ErrNoQueue) {
		t.Errorf("error is %v, want ErrNoQueue or a count", err)
	}
	ch := foreigner(t)
	if _, err := ch.QueueDeclare("other", true, false, false, false, amqp.Table{"x-queue-type": "quorum"}); err != nil {
		t.Fatal(err)
	}
	f.waits("other", 0) // it need not be in the topology
}
