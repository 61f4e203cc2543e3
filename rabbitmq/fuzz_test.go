package rabbitmq_test

import (
	"fmt"
	"maps"
	"math"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/rabbitmq"
)

// tables makes header tables of every type, at any depth, of any octets.
type tables struct{ data []byte }

func (b *tables) next() byte {
	if len(b.data) == 0 {
		return 0
	}
	c := b.data[0]
	b.data = b.data[1:]
	return c
}

func (b *tables) number() (n int64) {
	for range 8 {
		n = n<<8 | int64(b.next())
	}
	return n
}

func (b *tables) text() string {
	n := min(int(b.next()), len(b.data))
	s := string(b.data[:n])
	b.data = b.data[n:]
	return s
}

// names are those that mean something; the rest is the octets' own.
var names = []string{
	ackbox.HeaderLedger, ackbox.HeaderAttempt, ackbox.HeaderMaxAttempts, ackbox.HeaderResend, ackbox.HeaderError,
	"x-death", "x-delivery-count", "CC", "traceparent",
}

func (b *tables) table(depth int) amqp.Table {
	t := make(amqp.Table)
	for range b.next() % 8 {
		name := b.text()
		if i := int(b.next()); i < len(names) {
			name = names[i]
		}
		t[name] = b.value(depth)
	}
	return t
}

func (b *tables) value(depth int) any {
	switch kind := b.next() % 18; kind {
	case 1:
		return b.next()%2 == 0
	case 2:
		return b.next()
	case 3:
		return int8(b.next())
	case 4:
		return int16(b.number())
	case 5:
		return uint16(b.number())
	case 6:
		return int32(b.number())
	case 7:
		return uint32(b.number())
	case 8:
		return b.number()
	case 9:
		return math.Float32frombits(uint32(b.number()))
	case 10:
		return math.Float64frombits(uint64(b.number()))
	case 11:
		return b.text()
	case 12:
		return []byte(b.text())
	case 13:
		return time.Unix(b.number(), 0)
	case 14:
		return amqp.Decimal{Scale: b.next(), Value: int32(b.number())}
	case 15, 16:
		if depth == 0 {
			return nil
		}
		if kind == 15 {
			return b.table(depth - 1)
		}
		list := make([]any, b.next()%5)
		for i := range list {
			list[i] = b.value(depth - 1)
		}
		return list
	case 17:
		return true
	}
	return nil
}

func addTables(f *testing.F) {
	f.Helper()
	for _, seed := range []string{
		"", "\x01\x00\x00\x11", "\x04\x00\x00\x11\x00\x01\x08\x7f\xff\xff\xff\xff\xff\xff\xff\x00\x02\x08\x80\x00\x00\x00\x00\x00\x00\x00\x00\x03\x0b\x013",
		"\x01\x03abc\xff\x0f\x02\x01k\xff\x10\x03\x0e\x02\x0a\x0d", "\x01\x00\xff\x0f\x01\x00\xff\x0f\x01\x00\xff\x0f\x01\x00\xff\x0f",
		strings.Repeat("\x07\x02\xff\xfe\x09\x0c\x04\x00\x01\x02\x03", 9),
	} {
		f.Add([]byte(seed))
	}
}

// encoded is the size of a value on the wire, by AMQP's grammar.
func encoded(v any) int {
	switch v := v.(type) {
	case bool, byte, int8:
		return 2
	case int16, uint16:
		return 3
	case int32, uint32, float32:
		return 5
	case int64, float64, time.Time:
		return 9
	case amqp.Decimal:
		return 6
	case string:
		return 5 + len(v)
	case []byte:
		return 5 + len(v)
	case []any:
		size := 5
		for _, value := range v {
			size += encoded(value)
		}
		return size
	case amqp.Table:
		size := 5
		for name, value := range v {
			size += 1 + len(name) + encoded(value)
		}
		return size
	}
	return 1
}

// A stranger's headers, of any type and depth, make a job that the rest can
// rely on.
func FuzzJobFrom(f *testing.F) {
	addTables(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		headers := (&tables{data}).table(4)
		job := rabbitmq.JobFrom("q", &amqp.Delivery{Headers: headers})
		for what, n := range map[string]int{"attempt": job.Attempt - 1, "max attempts": job.MaxAttempts, "resend": job.Resend} {
			if n < 0 || n > math.MaxInt32 {
				t.Errorf("%s: %d", what, n)
			}
		}
		if ledger, _ := headers[ackbox.HeaderLedger].(string); job.Ledger != ledger {
			t.Errorf("ledger is %q, of %v", job.Ledger, headers[ackbox.HeaderLedger])
		}
		for name := range job.Headers {
			if strings.HasPrefix(name, ackbox.HeaderPrefix) || name == "x-death" || name == "x-delivery-count" {
				t.Errorf("%s is shown as the caller's", name)
			}
		}
		// A copy for the retry or dead queue can be sent.
		msg := rabbitmq.CopyOf(&core.Delivery{Job: job, Receipt: rabbitmq.NewReceipt(amqp.Delivery{Headers: headers})})
		if err := msg.Headers.Validate(); err != nil {
			t.Error(err)
		}
		if again := rabbitmq.JobFrom("q", &amqp.Delivery{Headers: msg.Headers}); again.Attempt != job.Attempt || again.Ledger != job.Ledger {
			t.Errorf("the copy is %+v, of %+v", again, job)
		}
	})
}

// What is estimated before a copy is sent is never less than what is sent: too
// large a table would end the connection.
func FuzzTableSize(f *testing.F) {
	addTables(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		table := (&tables{data}).table(4)
		// The type octet of the outermost table is not on the wire.
		if got, want := rabbitmq.TableSize(table), encoded(table)-1; got < want {
			t.Errorf("estimated %d, is %d: %v", got, want, table)
		}
	})
}

// What a dispatcher publishes is what a worker gets.
func FuzzRoundTrip(f *testing.F) {
	f.Add("id", "order.confirm", "x", "key", "traceparent", "00-1", []byte(`{}`), 2, 25, 1, ledger)
	f.Add("", "", "", "", "", "", []byte{}, 1, 0, 0, ledger)
	f.Add("\xff", "\x00", "x", "y", "X-Ackbox-Attempt", "9", []byte(nil), math.MaxInt32, math.MaxInt32, math.MaxInt32, ledger)
	f.Add("id", "kind", "", "q", "x-death", "1", []byte("x"), 1, 1, 0, "")
	f.Fuzz(func(t *testing.T, id, kind, exchange, key, name, value string, payload []byte, attempt, maxAttempts, resend int, ledger string) {
		valid := func(n, least int) bool { return n >= least && n <= math.MaxInt32 }
		if !valid(attempt, 1) || !valid(maxAttempts, 0) || !valid(resend, 0) || strings.HasPrefix(name, ackbox.HeaderPrefix) {
			return // outbox lets none of these through
		}
		job := ackbox.Job{
			ID: id, Kind: kind, Queue: "q", Exchange: exchange, RoutingKey: key, Mandatory: true, Payload: payload,
			Headers: map[string]string{name: value}, Attempt: attempt, MaxAttempts: maxAttempts, Resend: resend, Ledger: ledger,
			CreatedAt: time.Unix(1_700_000_000, 0),
		}
		m := rabbitmq.JobMessage(&job).Message()
		if err := m.Headers.Validate(); err != nil {
			t.Fatal(err)
		}
		got := rabbitmq.JobFrom("q", &amqp.Delivery{
			Headers: m.Headers, MessageId: m.MessageId, Type: m.Type, Timestamp: m.Timestamp, Body: m.Body, Exchange: exchange, RoutingKey: key,
		})
		want := job
		if ledger == "" {
			want.Attempt, want.MaxAttempts, want.Resend = 1, 0, 0
			if got.Message == nil || got.Message.ID != got.ID || got.Message.Exchange != exchange || got.Message.RoutingKey != key {
				t.Errorf("the message is %+v", got.Message)
			}
			got.Message = nil
		}
		if strings.HasPrefix(name, "x-") && len(got.Headers) == 0 {
			want.Headers = got.Headers // the broker's own names
		}
		if !maps.Equal(got.Headers, want.Headers) || string(got.Payload) != string(want.Payload) {
			t.Errorf("headers %q, payload %q: got %q, %q", want.Headers, want.Payload, got.Headers, got.Payload)
		}
		got.Headers, want.Headers, got.Payload, want.Payload = nil, nil, nil, nil
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
	})
}

// Whatever is wrong with a URL, neither its user nor its password is shown.
func FuzzURL(f *testing.F) {
	for _, seed := range [][5]string{
		{"amqp", "", "", "localhost:5672/", ""},
		{"amqps", "a", "b", "host/vhost", "?heartbeat=1"},
		{"amqp", "/", "?", "host", ""},
		{"amqp", "%zz", "%", "[::1]/", ""},
		{"http", "#", ":", "host", "/"},
		{"", "@", "@", "@@", "@"},
		{"amqp", "\x00", "\x7f", "ho st:99999/%", "#"},
		{"amqp", "[", "]", ":", "?cacertfile=x&auth_mechanism=y"},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3], seed[4])
	}
	const user, password = "u5er-marker", "s3cr3t-marker"
	f.Fuzz(func(t *testing.T, scheme, before, after, host, rest string) {
		for _, raw := range []string{
			scheme + "://" + before + user + after + ":" + before + password + after + "@" + host + rest,
			scheme + "://" + url.UserPassword(before+user+after, before+password+after).String() + "@" + host + rest,
		} {
			cfg := rabbitmq.Config{URL: raw}
			b, err := rabbitmq.New(cfg)
			shown := fmt.Sprint(err) + fmt.Sprintf("%v %+v %#v", cfg, cfg, cfg)
			if err == nil {
				shown += fmt.Sprintf("%v %+v %#v", b, b, b)
				_ = b.Close()
			}
			if strings.Contains(shown, password) || strings.Contains(shown, user) {
				t.Errorf("%q is shown as %s", raw, shown)
			}
			if !utf8.ValidString(shown) {
				t.Errorf("%q is shown as %q", raw, shown)
			}
		}
	})
}
