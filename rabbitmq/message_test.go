package rabbitmq_test

import (
	"encoding/binary"
	"errors"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"net"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/rabbitmq"
)

// ledger is the identity of the ledger of these tests' jobs.
const ledger = "00000000-0000-4000-8000-000000000001"

func TestJobMessage(t *testing.T) {
	t.Parallel()
	created := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	job := ackbox.Job{
		ID: "id", Kind: "order.confirm", Queue: "q", Exchange: "x", RoutingKey: "k", Mandatory: true,
		Payload: []byte(`{}`), Headers: map[string]string{"traceparent": "00-1"},
		Attempt: 2, MaxAttempts: 25, Resend: 1, CreatedAt: created, Ledger: ledger, Key: "order:42",
	}
	want := amqp.Publishing{
		Headers: amqp.Table{
			"traceparent": "00-1", ackbox.HeaderLedger: ledger, ackbox.HeaderAttempt: int64(2),
			ackbox.HeaderMaxAttempts: int64(25), ackbox.HeaderResend: int64(1), ackbox.HeaderKey: "order:42",
		},
		ContentType: "application/json", DeliveryMode: amqp.Persistent,
		MessageId: "id", Type: "order.confirm", Timestamp: created, Body: []byte(`{}`),
	}
	if got := rabbitmq.JobMessage(&job).Message(); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	job.SentAt, job.CreatedAt = created.Add(1999*time.Microsecond), created.Add(time.Millisecond)
	want.Timestamp = job.CreatedAt
	want.Headers[ackbox.HeaderSentAt], want.Headers[ackbox.HeaderCreatedAt] = created.UnixMilli()+1, created.UnixMilli()+1
	if got := rabbitmq.JobMessage(&job).Message(); !reflect.DeepEqual(got, want) {
		t.Errorf("with its times: got  %+v\nwant %+v", got, want)
	}
	job.Ledger = ""
	want.Headers = amqp.Table{"traceparent": "00-1"}
	if got := rabbitmq.JobMessage(&job).Message(); !reflect.DeepEqual(got, want) {
		t.Errorf("publish-only: got  %+v\nwant %+v", got, want)
	}
}

func TestJobFromForeignMessages(t *testing.T) {
	t.Parallel()
	type fields struct {
		Ledger, Key                  string
		Attempt, MaxAttempts, Resend int
	}
	deep := amqp.Table{"a": []any{amqp.Table{"b": []any{int8(1), nil}}}}
	tests := map[string]struct {
		headers amqp.Table
		want    fields
	}{
		"no table":            {nil, fields{Attempt: 1}},
		"attempt alone":       {amqp.Table{ackbox.HeaderAttempt: int32(3)}, fields{Attempt: 3}},
		"attempt is a byte":   {amqp.Table{ackbox.HeaderAttempt: byte(3)}, fields{Attempt: 3}},
		"attempt is huge":     {amqp.Table{ackbox.HeaderAttempt: int64(math.MaxInt64)}, fields{Attempt: math.MaxInt32}},
		"attempt is negative": {amqp.Table{ackbox.HeaderAttempt: int64(math.MinInt64)}, fields{Attempt: 1}},
		"attempt is text":     {amqp.Table{ackbox.HeaderAttempt: "3"}, fields{Attempt: 1}},
		"attempt is a table":  {amqp.Table{ackbox.HeaderAttempt: deep}, fields{Attempt: 1}},
		"attempt is nil":      {amqp.Table{ackbox.HeaderAttempt: nil}, fields{Attempt: 1}},
		"key alone":           {amqp.Table{ackbox.HeaderKey: "order:42"}, fields{Attempt: 1}},
		"ledger is true":      {amqp.Table{ackbox.HeaderLedger: true, ackbox.HeaderResend: int64(4)}, fields{Attempt: 1}},
		"ledger is empty":     {amqp.Table{ackbox.HeaderLedger: "", ackbox.HeaderMaxAttempts: int64(4)}, fields{Attempt: 1}},
		"ledger": {
			amqp.Table{ackbox.HeaderLedger: ledger, ackbox.HeaderAttempt: int64(2), ackbox.HeaderMaxAttempts: int16(9), ackbox.HeaderResend: uint32(1), ackbox.HeaderKey: "order:42"},
			fields{Key: "order:42", Ledger: ledger, Attempt: 2, MaxAttempts: 9, Resend: 1},
		},
		"ledger with nonsense": {
			amqp.Table{ackbox.HeaderLedger: ledger, ackbox.HeaderAttempt: 1.5, ackbox.HeaderMaxAttempts: []byte("x"), ackbox.HeaderResend: amqp.Decimal{}, ackbox.HeaderKey: int64(42)},
			fields{Ledger: ledger, Attempt: 1},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			job := rabbitmq.JobFrom("q", &amqp.Delivery{Headers: test.headers})
			got := fields{job.Ledger, job.Key, job.Attempt, job.MaxAttempts, job.Resend}
			if got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
			if len(job.Headers) != 0 {
				t.Errorf("our own headers are shown as the caller's: %v", job.Headers)
			}
		})
	}
}

func TestJobFromHeaders(t *testing.T) {
	t.Parallel()
	job := rabbitmq.JobFrom("q", &amqp.Delivery{Headers: amqp.Table{
		"text": "a", "int": int32(7), "bool": true, "nil": nil, "list": []any{"x", int64(1), []byte("é"), nil, 2.5},
		"time":  time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		"bytes": []byte("0042"), "binary": []byte{0xff, 0}, "price": amqp.Decimal{Scale: 2, Value: -5}, "whole": amqp.Decimal{Value: 12},
		"float": 0.1, "single": float32(0.1), "not a number": math.NaN(),
		"table":            amqp.Table{"raw": []byte{0xff, 0}, "sum": amqp.Decimal{Scale: 2, Value: 314}, "at": time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)},
		"x-delivery-count": int64(2), "x-death": []any{amqp.Table{}},
	}})
	want := map[string]string{
		"text": "a", "int": "7", "bool": "true", "nil": "", "list": `["x",1,"é",null,2.5]`, "time": "2026-01-02T03:04:05Z",
		"bytes": "0042", "binary": "/wA=", "price": "-0.05", "whole": "12", "float": "0.1", "single": "0.1",
		"table": `{"at":"2026-01-02T03:04:05Z","raw":"/wA=","sum":"3.14"}`, "not a number": "NaN",
	}
	if !maps.Equal(job.Headers, want) {
		t.Errorf("got %v, want %v", job.Headers, want)
	}
}

func TestCopyKeepsTheMessageAndDropsItsWay(t *testing.T) {
	t.Parallel()
	table := amqp.Table{"n": int32(7), "t": amqp.Table{"deep": []any{int8(1)}}, "raw": []byte{0}}
	original := amqp.Delivery{
		Headers:     maps.Clone(table),
		ContentType: "text/plain", ContentEncoding: "gzip", DeliveryMode: amqp.Transient, Priority: 4,
		CorrelationId: "c", ReplyTo: "r", Expiration: "1000", MessageId: "m", Timestamp: time.Unix(1, 0),
		Type: "kind", UserId: "somebody", AppId: "app", Body: []byte("body"),
	}
	for _, name := range []string{"x-death", "x-delivery-count", "x-first-death-queue", "CC"} {
		original.Headers[name] = "way"
	}
	first := time.Unix(7, 0)
	d := core.Delivery{
		Job:       ackbox.Job{ID: "derived", Exchange: "shop", RoutingKey: "order.eu.paid", Attempt: 3, AttemptsBefore: 2},
		FirstSeen: first, Receipt: rabbitmq.NewReceipt(original),
	}
	got := rabbitmq.CopyOf(&d)
	maps.Copy(table, amqp.Table{
		ackbox.HeaderAttempt: int64(3), ackbox.HeaderAttemptsBefore: int64(2), ackbox.HeaderID: "derived",
		ackbox.HeaderExchange: "shop", ackbox.HeaderRoutingKey: "order.eu.paid", ackbox.HeaderFirstSeen: first,
	})
	want := amqp.Publishing{
		Headers: table, ContentType: "text/plain", ContentEncoding: "gzip", DeliveryMode: amqp.Persistent, Priority: 4,
		CorrelationId: "c", ReplyTo: "r", MessageId: "m", Timestamp: time.Unix(1, 0), Type: "kind", AppId: "app", Body: []byte("body"),
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if _, ok := original.Headers[ackbox.HeaderAttempt]; ok {
		t.Error("the original's table was changed")
	}
}

// A pause goes to the rung that it rounds up to, but for jitter; where that one's queue
// cannot be had the longer ones serve, then the shorter.
func TestRungsFor(t *testing.T) {
	t.Parallel()
	const a, b, c = time.Second, 5 * time.Second, time.Minute
	ladder := []time.Duration{a, b, c}
	for delay, want := range map[time.Duration][]time.Duration{
		-time.Hour: {a, b, c}, 0: {a, b, c}, 1: {a, b, c}, a: {a, b, c}, 1200 * time.Millisecond: {a, b, c},
		1201 * time.Millisecond: {b, c, a}, b: {b, c, a}, 6 * time.Second: {b, c, a},
		7 * time.Second: {c, b, a}, c: {c, b, a}, math.MaxInt64: {c, b, a},
	} {
		if got := rabbitmq.RungsFor(ladder, delay); !slices.Equal(got, want) {
			t.Errorf("%v waits %v, want %v", delay, got, want)
		}
	}
}

func TestArguments(t *testing.T) {
	t.Parallel()
	quorum := rabbitmq.RetryArgs(ackbox.Queue{Name: "q", Type: ackbox.Quorum}, 1500*time.Millisecond)
	want := amqp.Table{
		"x-queue-type": "quorum", "x-message-ttl": int64(1500), "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "q",
		"x-dead-letter-strategy": "at-least-once", "x-overflow": "reject-publish", "x-delivery-limit": int64(1_000_000_000),
	}
	if !reflect.DeepEqual(quorum, want) {
		t.Errorf("quorum retry: got %v, want %v", quorum, want)
	}
	classic := rabbitmq.RetryArgs(ackbox.Queue{Name: "q", Type: ackbox.Classic}, time.Second)
	want = amqp.Table{
		"x-queue-type": "classic", "x-message-ttl": int64(1000), "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "q",
	}
	if !reflect.DeepEqual(classic, want) {
		t.Errorf("classic retry: got %v, want %v", classic, want)
	}
	topology := ackbox.Topology{Queues: []ackbox.Queue{{Name: "q", MaxLength: 3, Arguments: map[string]any{"x-single-active-consumer": true, "x-expires": 9}}}}
	bounded := rabbitmq.QueueArgs(topology.WithDefaults().Queues[0])
	want = amqp.Table{
		"x-queue-type": "quorum", "x-max-length": int64(3), "x-overflow": "reject-publish", "x-delivery-limit": int64(1_000_000_000),
		"x-single-active-consumer": true, "x-expires": int64(9),
	}
	if !reflect.DeepEqual(bounded, want) {
		t.Errorf("work queue: got %v, want %v", bounded, want)
	}
}

func TestExplainDrift(t *testing.T) {
	t.Parallel()
	for reason, want := range map[string]string{
		"PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue 'mail' in vhost '/': received the value 'quorum' of type 'longstr' but current is none"://
		"queue mail: argument x-queue-type is not set on the server, quorum in Config.Topology",
		"PRECONDITION_FAILED - inequivalent arg 'x-max-length' for queue 'mail' in vhost 'a b': received none but current is the value '10' of type 'signedint'"://
		"queue mail: argument x-max-length is 10 on the server, not set in Config.Topology",
		"PRECONDITION_FAILED - inequivalent arg 'durable' for queue 'mail' in vhost '/': received 'true' but current is 'false'"://
		"queue mail: argument durable is false on the server, true in Config.Topology",
		"PRECONDITION_FAILED - inequivalent arg 'type' for exchange 'events' in vhost '/': received 'topic' but current is 'direct'"://
		"exchange events: argument type is direct on the server, topic in Config.Topology",
		"PRECONDITION_FAILED - invalid arg": "queue asked: ",
	} {
		cause := &amqp.Error{Code: amqp.PreconditionFailed, Reason: reason}
		err := rabbitmq.Explain("queue", "asked", cause)
		if !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %q, want it to begin with %q", err, want)
		}
		if !errors.Is(err, cause) || !rabbitmq.Permanent(err) {
			t.Errorf("%q does not wrap the broker's error, or does not count as permanent", err)
		}
	}
	if rabbitmq.Permanent(errors.New("dial tcp: connection refused")) || rabbitmq.Permanent(amqp.ErrClosed) {
		t.Error("an outage counts as permanent")
	}
}

func TestTruncate(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", 1000)
	if got := rabbitmq.Truncate("x" + long); len(got) > 1024 || !strings.HasPrefix("x"+long, got) {
		t.Errorf("%d bytes, or a broken character at the end", len(got))
	}
	if got := rabbitmq.Truncate("a\xffb"); got != "a\uFFFDb" {
		t.Errorf("got %q", got)
	}
}

func TestTableSizeIsNotTooSmall(t *testing.T) {
	t.Parallel()
	table := amqp.Table{"name": strings.Repeat("x", 100), "t": amqp.Table{"deep": []any{int64(1), "two", []byte("three"), time.Now(), amqp.Decimal{}}}}
	// 4+100 for the string, its name and what nests; encoded by hand: 5 octets
	// for each length with its type, 1 for each name's length.
	const encoded = 4 + (1 + 4 + 5 + 100) + (1 + 1 + 5) + (1 + 4 + 5) + 9 + (5 + 3) + (5 + 5) + 9 + 6
	if got := rabbitmq.TableSize(table); got < encoded {
		t.Errorf("estimated %d, encoded %d", got, encoded)
	}
}

// onWire is the size of a table as the client writes it: as the properties that
// it introduces itself with.
func onWire(t *testing.T, table amqp.Table) int {
	t.Helper()
	ours, theirs := net.Pipe()
	opened := make(chan struct{})
	go func() {
		defer close(opened)
		_, _ = amqp.Open(theirs, amqp.Config{Properties: table, SASL: []amqp.Authentication{&amqp.PlainAuth{}}})
	}()
	defer func() {
		_ = ours.Close()
		<-opened
	}()
	var frame [15]byte // 7 octets of frame, 4 of class and method, 4 of the table's length
	start := "\x01\x00\x00\x00\x00\x00\x1c\x00\x0a\x00\x0a\x00\x09\x00\x00\x00\x00\x00\x00\x00\x05PLAIN\x00\x00\x00\x05en_US\xce"
	if _, err := io.ReadFull(ours, frame[:8]); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(ours, start); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(ours, frame[:]); err != nil {
		t.Fatal(err)
	}
	return 4 + int(binary.BigEndian.Uint32(frame[11:]))
}

// The grammar that FuzzTableSize measures with is the client's.
func TestEncodedSize(t *testing.T) {
	t.Parallel()
	for seed := range 50 {
		data := make([]byte, 400)
		r := rand.New(rand.NewPCG(uint64(seed), 0))
		for i := range data {
			data[i] = byte(r.Uint32())
		}
		table := (&tables{data}).table(4)
		table["seed"] = int64(seed) // the client replaces an empty one
		got := onWire(t, table)     // it adds its capabilities to the table
		if want := encoded(table) - 1; got != want {
			t.Errorf("on the wire %d, by the grammar %d: %v", got, want, table)
		}
		if estimate := rabbitmq.TableSize(table); estimate < got {
			t.Errorf("estimated %d, on the wire %d: %v", estimate, got, table)
		}
	}
}
