package rabbitmq_test

import (
	"maps"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/internal/testenv"
	"github.com/ackbox/ackbox/rabbitmq"
)

var ladder = []time.Duration{100 * time.Millisecond, 400 * time.Millisecond}

func TestRetryKeepsForeignMessages(t *testing.T) {
	t.Parallel()
	for _, kind := range []ackbox.QueueType{ackbox.Quorum, ackbox.Classic} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			f := ready(t, rabbitmq.Config{RetryLadder: ladder, Topology: ackbox.Topology{
				Queues: []ackbox.Queue{{Name: work, Type: kind}, {Name: "cc"}},
			}})
			u, err := url.Parse(testenv.AMQPURL(t))
			if err != nil {
				t.Fatal("the test's URL does not parse")
			}
			own := amqp.Table{
				"text": "a", "int": int32(-7), "long": int64(1) << 40, "short": int16(3), "bool": true, "real": 1.5, "nil": nil,
				"raw": []byte{0, 255}, "time": time.Unix(1_700_000_000, 0), "decimal": amqp.Decimal{Scale: 2, Value: 314},
				"table": amqp.Table{"deep": []any{"x", int64(1), amqp.Table{"deeper": false}}},
			}
			original := amqp.Publishing{
				Headers: maps.Clone(own), ContentType: "text/plain", ContentEncoding: "identity", DeliveryMode: amqp.Transient,
				Priority: 3, CorrelationId: "correlation", ReplyTo: "reply", Expiration: "50000", MessageId: "message",
				Timestamp: time.Unix(1_700_000_001, 0), Type: "kind", UserId: u.User.Username(), AppId: "shop", Body: []byte("not JSON"),
			}
			original.Headers["CC"] = []any{"cc"}
			// As if a scheme of the producer's had dead-lettered it out of our
			// queue: copied, it would make the broker see a cycle and drop it.
			original.Headers["x-death"] = []any{amqp.Table{"queue": work, "reason": "expired", "exchange": "", "count": int64(1), "routing-keys": []any{work}}}
			ch := foreigner(t)
			f.must("confirm mode", ch.Confirm(false))
			confirm, err := ch.PublishWithDeferredConfirm("", work, true, false, original)
			f.must("publish", err)
			confirm.Wait() // what arrives while a subscription begins may come back once
			s := f.subscribe(work, 1)
			for attempt := 1; attempt <= 3; attempt++ {
				d := s.next()
				if d.Attempt != attempt || d.Ledger != "" || d.ID != "message" || d.Kind != "kind" || d.Headers["int"] != "-7" || string(d.Payload) != "not JSON" {
					t.Fatalf("attempt %d came as %+v", attempt, d.Job)
				}
				if d.Returns != 0 || d.Redelivered {
					t.Errorf("attempt %d: returns %d, redelivered %v", attempt, d.Returns, d.Redelivered)
				}
				raised := d
				raised.Attempt++
				began := time.Now()
				f.must("Retry", f.Retry(f.ctx, raised, 50*time.Millisecond))
				f.must("Ack", d.Receipt.Ack())
				if attempt < 3 {
					s.t = t
					next := s.next()
					if took := time.Since(began); took < ladder[0] {
						t.Errorf("it came back after %v", took)
					}
					s.deliveries <- next
				}
			}
			s.stop()
			f.must("Consume", s.returned())
			got := get(t, ch, work)
			maps.DeleteFunc(got.Headers, func(name string, _ any) bool {
				return name == "x-death" || name == "x-delivery-count" || strings.HasPrefix(name, "x-first-death") || strings.HasPrefix(name, "x-last-death")
			})
			own[ackbox.HeaderAttempt] = int64(4)
			own[ackbox.HeaderExchange], own[ackbox.HeaderRoutingKey] = "", work
			if first, ok := got.Headers[ackbox.HeaderFirstSeen].(time.Time); !ok || time.Since(first) > deadline {
				t.Errorf("first seen %v", got.Headers[ackbox.HeaderFirstSeen])
			}
			delete(got.Headers, ackbox.HeaderFirstSeen)
			if !reflect.DeepEqual(got.Headers, own) {
				t.Errorf("headers are\n%#v, want\n%#v", got.Headers, own)
			}
			if got.ContentType != original.ContentType || got.ContentEncoding != original.ContentEncoding || got.DeliveryMode != amqp.Persistent ||
				got.Priority != original.Priority || got.CorrelationId != original.CorrelationId || got.ReplyTo != original.ReplyTo ||
				!got.Timestamp.Equal(original.Timestamp) || got.AppId != original.AppId || got.Expiration != "" {
				t.Errorf("properties are %+v", got)
			}
			if n, err := f.Waiting(f.ctx, "cc"); n != 1 || err != nil {
				t.Errorf("the queue in CC has %d copies (%v), want the first one only", n, err)
			}
		})
	}
}

func TestRetryUsesTheLadder(t *testing.T) {
	t.Parallel()
	f := ready(t, rabbitmq.Config{RetryLadder: ladder})
	for _, delay := range []time.Duration{-time.Second, 0, 100 * time.Millisecond, 101 * time.Millisecond, time.Hour} {
		f.must("Retry", f.Retry(f.ctx, core.Delivery{Job: jobs(work, 1)[0]}, delay))
	}
	f.waits(work, 5)
	if got := len(testenv.Rabbit(t).Queues()); got > 3 {
		t.Errorf("%d queues, want the work queue and one for each rung", got)
	}
}

func TestRetrySurvivesADeletedRetryQueue(t *testing.T) {
	t.Parallel()
	f := ready(t, rabbitmq.Config{RetryLadder: ladder})
	d := core.Delivery{Job: jobs(work, 1)[0]}
	f.must("Retry", f.Retry(f.ctx, d, 0))
	f.waits(work, 1)
	testenv.Rabbit(t).DeleteQueue("work.retry.100")
	f.must("Retry", f.Retry(f.ctx, d, 0))
	f.waits(work, 2)
}

func TestRetryRefusesWhatTheFramesDoNotHold(t *testing.T) {
	t.Parallel()
	p, via := proxied(t)
	f := ready(t, rabbitmq.Config{URL: via})
	job := jobs(work, 1)[0]
	job.Ledger, job.Headers = "", map[string]string{"big": strings.Repeat("x", 140_000)}
	err := f.Retry(f.ctx, core.Delivery{Job: job}, 0)
	if err == nil || !strings.Contains(err.Error(), "frames") {
		t.Errorf("Retry: %v", err)
	}
	f.publish(jobs(work, 1), core.Acked)
	if n := p.Accepted(); n != 2 {
		t.Errorf("%d connections, want the first two", n)
	}
}

func TestBuryAndRequeueDead(t *testing.T) {
	t.Parallel()
	f := ready(t, rabbitmq.Config{})
	ch := foreigner(t)
	if n, err := f.RequeueDead(f.ctx, work, ackbox.DeadFilter{}, 5); n != 0 || err != nil {
		t.Errorf("RequeueDead without a dead queue: %d, %v", n, err)
	}
	const messages = 5
	// Before anything is in the queue: one that seems empty is asked for a message,
	// which goes to the end if there is one.
	s := f.subscribe(work, messages)
	eventually(t, func() bool {
		q, err := ch.QueueDeclarePassive(work, true, false, false, false, nil)
		f.must("look at the queue", err)
		return q.Consumers > 0
	}, func() any { return "no consumer" })
	for i := range messages {
		msg := amqp.Publishing{MessageId: string(rune('a' + i)), Headers: amqp.Table{"n": int32(i), ackbox.HeaderAttempt: int32(7)}, Body: []byte("body")}
		if err := ch.Publish("", work, true, false, msg); err != nil {
			t.Fatal(err)
		}
	}
	cause := "handler: " + strings.Repeat("é", 1000)
	for range messages {
		d := s.next()
		f.must("Bury", f.Bury(f.ctx, d, cause))
		f.must("Ack", d.Receipt.Ack())
	}
	f.waits("work.dead", messages)
	buried := get(t, ch, "work.dead") // an operator takes one
	why, _ := buried.Headers[ackbox.HeaderError].(string)
	if len(why) < 1000 || len(why) > 1024 || !strings.HasPrefix(cause, why) {
		t.Errorf("the error is %d bytes of %q...", len(why), why[:min(len(why), 20)])
	}
	if buried.Headers["n"] != int32(0) || buried.Headers[ackbox.HeaderAttempt] != int64(7) {
		t.Errorf("headers are %v", buried.Headers)
	}
	for _, want := range []int{2, 2, 0} {
		if n, err := f.RequeueDead(f.ctx, work, ackbox.DeadFilter{}, 2); n != want || err != nil {
			t.Fatalf("RequeueDead: %d, %v; want %d", n, err, want)
		}
	}
	for i := range messages - 1 {
		d := s.next()
		if d.Attempt != 8 || d.AttemptsBefore != 7 || d.ID != string(rune('b'+i)) {
			t.Errorf("message %d is %q, attempt %d", i, d.ID, d.Attempt)
		}
		f.must("Ack", d.Receipt.Ack())
	}
	f.waits("work.dead", 0)
}
