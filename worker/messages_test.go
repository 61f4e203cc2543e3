package worker_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/handler"
	"github.com/ackbox/ackbox/internal/content"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/worker"
)

// foreign is a message without a row, as a broker hands it out.
func foreign(id string) core.Delivery {
	d := job(id)
	d.Ledger, d.MaxAttempts = "", 0
	d.Message = &ackbox.Message{ID: id, Type: d.Kind, Body: d.Payload}
	return d
}

// What a message is taken for is for its queue's Messages to say.
func TestMessagesAreRead(t *testing.T) {
	t.Parallel()
	message := func() *ackbox.Message {
		return &ackbox.Message{
			ID: "m-1", Type: "typed", Exchange: "shop", RoutingKey: "order.eu.paid",
			Headers: map[string]any{"kind": []byte("of.header"), "n": int32(7), "bad": "a\x00b", "long": strings.Repeat("x", 256), "retry_nums": int64(2)},
			Body:    []byte(`{"meta":{"type":"of.body","n":12,"none":null},"messageType":["urn:message:Order"],"text":"é"}`),
		}
	}
	for name, tt := range map[string]struct {
		messages worker.Messages
		change   func(*core.Delivery)
		kind, id string
		attempt  int
	}{
		"the properties":           {kind: "typed", id: "m-1"},
		"a header":                 {messages: worker.Messages{Kind: []worker.Find{worker.FromHeader("kind")}, ID: []worker.Find{worker.FromHeader("n")}}, kind: "of.header", id: "7"},
		"the routing key":          {messages: worker.Messages{Kind: []worker.Find{worker.FromRoutingKey()}}, kind: "order.eu.paid", id: "m-1"},
		"the body":                 {messages: worker.Messages{Kind: []worker.Find{worker.FromBody("meta.type")}, ID: []worker.Find{worker.FromBody("meta.n")}}, kind: "of.body", id: "12"},
		"an array":                 {messages: worker.Messages{Kind: []worker.Find{worker.FromBody("messageType.0")}}, kind: "urn:message:Order", id: "m-1"},
		"the first answer":         {messages: worker.Messages{Kind: []worker.Find{worker.FromBody("meta.none"), worker.FromBody("messageType.1"), worker.FromBody("meta"), worker.FromHeader("no"), worker.FromHeader("bad"), worker.FromHeader("long"), worker.Always("x"), worker.FromType()}}, kind: "x", id: "m-1"},
		"one's own":                {messages: worker.Messages{Kind: []worker.Find{func(m *ackbox.Message) string { return m.Exchange }}}, kind: "shop", id: "m-1"},
		"a body that is not":       {messages: worker.Messages{Kind: []worker.Find{worker.FromBody("text"), worker.Always("y")}}, change: func(d *core.Delivery) { d.Message.Body = []byte("{") }, kind: "y", id: "m-1"},
		"an older receiver":        {messages: worker.Messages{Tries: []worker.Find{worker.FromHeader("retry_nums")}}, kind: "typed", id: "m-1", attempt: 3},
		"our own count":            {messages: worker.Messages{Tries: []worker.Find{worker.FromHeader("retry_nums")}}, change: func(d *core.Delivery) { d.Attempt, d.FirstSeen = 5, time.Now() }, kind: "typed", id: "m-1", attempt: 5},
		"tries that are no number": {messages: worker.Messages{Tries: []worker.Find{worker.FromHeader("kind")}}, kind: "typed", id: "m-1"},
		"the content":              {messages: worker.Messages{ID: []worker.Find{worker.FromContent()}}, kind: "typed", id: content.Hash(message())},
		"no message":               {change: func(d *core.Delivery) { d.Message = nil; d.Kind, d.ID = "typed", "m-1" }, kind: "typed", id: "m-1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got ackbox.Job
			h := plain{consume: func(_ context.Context, job ackbox.Job) error { got = job; return nil }}
			cfg := worker.Config{Queues: []worker.Queue{{Name: "default", Messages: tt.messages}}}
			runAs(t, tt.kind, func(l *ledger) worker.Ledger { return l }, cfg, h, func(b *bench) {
				d := foreign("m-1")
				d.Message = message()
				if tt.change != nil {
					tt.change(&d)
				}
				b.deliver(d)
				b.expect("ack m-1")
			})
			if got.Kind != tt.kind || got.ID != tt.id || got.Attempt != max(1, tt.attempt) || got.IDFromContent {
				t.Errorf("got kind %q, id %q, try %d, from content %t; want %q, %q, %d", got.Kind, got.ID, got.Attempt, got.IDFromContent, tt.kind, tt.id, max(1, tt.attempt))
			}
		})
	}
}

// A message that came without an id has one all the same, the same on every try; that
// it is no id by which two messages can be told apart is said.
func TestMessageWithoutAnID(t *testing.T) {
	t.Parallel()
	var got []ackbox.Job
	h := plain{consume: func(_ context.Context, job ackbox.Job) error { got = append(got, job); return nil }}
	run(t, worker.Config{}, h, func(b *bench) {
		first := foreign("")
		b.deliver(first)
		copied := foreign("")
		copied.ID, copied.Attempt, copied.FirstSeen = content.Hash(first.Message), 2, time.Now()
		b.deliver(copied)
		old := foreign("")
		old.ID, old.Attempt, old.FirstSeen = "of an older version's hash", 2, time.Now()
		b.deliver(old)
		b.diary.lines = nil
	})
	want := []string{content.Hash(&ackbox.Message{Type: "k", Body: job("").Payload}), "", "of an older version's hash"}
	want[1] = want[0]
	for i, job := range got {
		if job.ID != want[i] || !job.IDFromContent {
			t.Errorf("delivery %d: id %q, from content %t; want %q", i, job.ID, job.IDFromContent, want[i])
		}
	}
	if len(got) != 3 {
		t.Errorf("%d ran", len(got))
	}
}

func TestMessagesAreChecked(t *testing.T) {
	t.Parallel()
	b := &broker{diary: &diary{}}
	reg := handler.NewRegistry()
	reg.Handle("k", plain{})
	for field, m := range map[string]worker.Messages{
		"Kind[1]":  {Kind: []worker.Find{worker.FromType(), nil}},
		"ID[0]":    {ID: []worker.Find{nil}},
		"Tries[0]": {Tries: []worker.Find{nil}},
	} {
		_, err := worker.New(&ledger{}, b, reg, worker.Config{Queues: []worker.Queue{{Name: "default", Messages: m}}})
		if want := "worker: Config.Queues[0].Messages." + field + " is nil: want a function"; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// While no copy can be made, a message whose handler failed is held back: it is neither
// What the inbox knows is not run again, and what was given up gets to the dead queue.
func TestInboxIsAsked(t *testing.T) {
	t.Parallel()
	var superseded error
	ran, failed := 0, 0
	h := plain{
		consume:    func(context.Context, ackbox.Job) error { ran++; return superseded },
		failAction: func(context.Context, ackbox.Job, error) error { failed++; return nil },
	}
	run(t, worker.Config{}, h, func(b *bench) {
		says := func(v core.Verdict, err error) {
			b.ledger.set(func(l *ledger) { l.received = func(ackbox.Job) (core.Verdict, error) { return v, err } })
		}
		again := foreign("m")
		again.Redelivered = true
		round := foreign("m")
		round.Attempt, round.AttemptsBefore = 11, 10
		const gaveUp = `bury m/1 "a copy of a message that was given up: its FailAction is committed, and this one is buried in case the other did not get here"`

		b.deliver(foreign("m"))
		b.expect("ack m")
		if n := b.diary.besides("received?"); n != 0 || ran != 1 {
			t.Errorf("a first delivery asked %d times and ran %d times", n, ran)
		}
		says(core.Stale, nil)
		b.deliver(again)
		b.expect("ack m")
		b.deliver(round)
		b.expect("ack m")
		says(core.GivenUp, nil)
		b.deliver(again)
		b.expect(gaveUp, "ack m")
		if ran != 1 {
			t.Errorf("%d ran of what is known", ran)
		}
		says(core.Busy, errors.New("away"))
		b.deliver(again)
		b.pass(time.Minute)
		b.expect()
		says(core.Started, nil)
		b.pass(10 * time.Second)
		b.expect("ack m")

		// ErrSuperseded is believed if the inbox says so, too.
		superseded = ackbox.ErrSuperseded
		says(core.Stale, nil)
		b.deliver(foreign("m"))
		b.expect("ack m")
		says(core.GivenUp, nil)
		b.deliver(foreign("m"))
		b.expect(gaveUp, "ack m")
		says(core.Started, nil)
		b.deliver(foreign("m"))
		b.expect("park m/2 1h0m0s", "ack m")

		// What another copy has done meanwhile is not given up.
		last := foreign("m")
		last.Attempt = 10
		superseded = errFailed
		asked := 0
		b.ledger.set(func(l *ledger) {
			l.received = func(ackbox.Job) (core.Verdict, error) {
				if asked++; asked == 1 { // before it runs
					return core.Started, nil
				}
				return core.Stale, nil
			}
		})
		b.deliver(last)
		b.expect("ack m")
		if failed > 0 {
			t.Errorf("FailAction ran %d times", failed)
		}
	})
}

// A requeued message has all its tries anew.
func TestRoundsOfAMessage(t *testing.T) {
	t.Parallel()
	h := plain{consume: func(context.Context, ackbox.Job) error { return errFailed }}
	run(t, worker.Config{}, h, func(b *bench) {
		for _, attempt := range []int{11, 19, 20} {
			d := foreign("m")
			d.Attempt, d.AttemptsBefore = attempt, 10
			b.deliver(d)
		}
		b.expect("park m/12 1h0m0s", "ack m", "park m/20 1h0m0s", "ack m", `bury m/20 "failed"`, "ack m")
		if n := b.logged("a job is dead", "kept_in=\"queue default.dead\""); n != 1 {
			t.Errorf("%s", b.log)
		}
	})
}

// A queue that bears few returns has its messages replaced in time.
func TestRenewalByLimit(t *testing.T) {
	t.Parallel()
	run(t, worker.Config{}, plain{}, func(b *bench) {
		for _, tt := range []struct{ limit, returns, renewals int }{{20, 9, 4}, {20, 10, 0}, {2, 1, 0}, {2, 1, 48}, {7, 2, 0}, {7, 3, 0}, {0, 9, 0}, {0, 10, 0}} {
			d := foreign(fmt.Sprint("m", tt.limit, ".", tt.returns, ".", tt.renewals))
			d.Limit, d.Returns, d.Renewals, d.Redelivered = tt.limit, tt.returns, tt.renewals, true
			b.deliver(d)
		}
		b.expect("ack m20.9.4", "renew m20.10.0/1 0s for the 1th time", "ack m20.10.0",
			"renew m2.1.0/1 0s for the 1th time", "ack m2.1.0", "renew m2.1.48/1 0s for the 49th time", "ack m2.1.48",
			"ack m7.2.0", "renew m7.3.0/1 0s for the 1th time", "ack m7.3.0", "ack m0.9.0", "renew m0.10.0/1 0s for the 1th time", "ack m0.10.0")
		d := foreign("m")
		d.Limit, d.Renewals, d.Redelivered = 2, 50, true
		b.deliver(d)
		b.expect("park m/2 1h0m0s", "ack m")
	})
}

// A function that is surprised by a message has found nothing; the next is asked, others
// are read, and people hear of it.
func TestFindPanics(t *testing.T) {
	t.Parallel()
	bad := func(m *ackbox.Message) string { return m.Headers["none"].(string) } //nolint:errcheck // it is to panic
	cfg := worker.Config{Queues: []worker.Queue{{Name: "default", Messages: worker.Messages{
		Kind: []worker.Find{bad, worker.FromType()}, ID: []worker.Find{worker.FromHeader("no"), bad}, Tries: []worker.Find{bad},
	}}}}
	var got ackbox.Job
	run(t, cfg, plain{consume: func(_ context.Context, job ackbox.Job) error { got = job; return nil }}, func(b *bench) {
		b.deliver(foreign("m"))
		b.deliver(foreign("m"))
		b.expect("ack m", "ack m")
		if got.Kind != "k" || !got.IDFromContent || got.Attempt != 1 {
			b.Errorf("got %+v", got)
		}
		for _, field := range []string{"Kind[0]", "ID[1]", "Tries[0]"} {
			if n := b.logged("a function of Queue.Messages fails", field+": panic"); n != 1 {
				b.Errorf("%s is told of %d times", field, n)
			}
		}
	})
}

// A message of a kind that nobody knows does not circulate for ever, and is told of
// A message that is held back, or runs, while its subscription is lost comes again: it is
// joined to what is in hand, and neither runs twice nor is copied twice. One that is equal
