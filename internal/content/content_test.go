package content_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"maps"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/content"
)

func zipped(t *testing.T, body []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(body); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestDecode(t *testing.T) {
	t.Parallel()
	body := []byte(`{"secret":1}`)
	for _, tt := range []struct {
		encoding string
		body     []byte
		want     string // of the error
	}{
		{"", body, ""},
		{"utf-8", body, ""},
		{"gzip", zipped(t, body), ""},
		{" GZIP", zipped(t, body), ""},
		{"gzip", body, "is gzip, the body is not"},
		{"gzip", nil, "is gzip, the body is not"},
		{"gzip", zipped(t, body)[:20], "damaged"},
	} {
		got, err := content.Decode(tt.encoding, tt.body)
		switch {
		case tt.want == "" && (err != nil || !bytes.Equal(got, body)):
			t.Errorf("%q: %q, %v", tt.encoding, got, err)
		case tt.want != "" && (!errors.Is(err, content.ErrEncoding) || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "secret")):
			t.Errorf("%q: %v, want an error that says %q", tt.encoding, err, tt.want)
		}
	}
	if got, err := content.DecodeUpTo("gzip", zipped(t, make([]byte, 1000)), 1000); err != nil || len(got) != 1000 {
		t.Errorf("as much as is allowed: %d bytes, %v", len(got), err)
	}
	if _, err := content.DecodeUpTo("gzip", zipped(t, make([]byte, 1001)), 1000); !errors.Is(err, content.ErrEncoding) || !strings.Contains(err.Error(), "more than 1000 bytes") {
		t.Errorf("more than is allowed: %v", err)
	}
}

// What a producer says is in the hash, what is added on the way is not.
func TestHash(t *testing.T) {
	t.Parallel()
	message := func(change func(*ackbox.Message)) string {
		m := &ackbox.Message{
			Exchange: "shop", RoutingKey: "order.paid", Type: "t", Timestamp: time.Unix(1, 0), Body: []byte("body"),
			Headers: map[string]any{"a": "1", "b": map[string]any{"c": []any{int64(1), "2"}}},
		}
		change(m)
		return content.Hash(m)
	}
	same := message(func(*ackbox.Message) {})
	if !regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(same) {
		t.Errorf("%s is no UUID of version 8", same)
	}
	for what, change := range map[string]func(*ackbox.Message){
		"nothing":            func(*ackbox.Message) {},
		"the broker's":       func(m *ackbox.Message) { m.Headers["x-death"], m.Headers["x-delivery-count"] = []any{}, int64(3) },
		"ours":               func(m *ackbox.Message) { m.Headers[ackbox.HeaderAttempt] = int64(3) },
		"a number's width":   func(m *ackbox.Message) { m.Headers["b"] = map[string]any{"c": []any{int32(1), "2"}} },
		"a part of a second": func(m *ackbox.Message) { m.Timestamp = m.Timestamp.Add(time.Millisecond) },
		"bytes for text":     func(m *ackbox.Message) { m.Headers["a"] = []byte("1") },
		"expiration":         func(m *ackbox.Message) { m.Expiration = "1000" }, // a copy has none
	} {
		if got := message(change); got != same {
			t.Errorf("%s changes it", what)
		}
	}
	seen := map[string]string{same: "nothing"}
	for what, change := range map[string]func(*ackbox.Message){
		"exchange":       func(m *ackbox.Message) { m.Exchange = "shoporder" },
		"boundary":       func(m *ackbox.Message) { m.Exchange, m.RoutingKey = "shopo", "rder.paid" },
		"type":           func(m *ackbox.Message) { m.Type = "" },
		"body":           func(m *ackbox.Message) { m.Body = []byte("bodx") },
		"time":           func(m *ackbox.Message) { m.Timestamp = time.Unix(2, 0) },
		"no time":        func(m *ackbox.Message) { m.Timestamp = time.Time{} },
		"priority":       func(m *ackbox.Message) { m.Priority = 1 },
		"header":         func(m *ackbox.Message) { m.Headers["a"] = "2" },
		"another header": func(m *ackbox.Message) { m.Headers["d"] = nil },
		"number":         func(m *ackbox.Message) { m.Headers["a"] = int64(1) },
		"nested":         func(m *ackbox.Message) { m.Headers["b"] = map[string]any{"c": []any{int64(1)}, "d": "2"} },
		"list":           func(m *ackbox.Message) { m.Headers["b"] = map[string]any{"c": []any{int64(1), "2", nil}} },
		"no headers":     func(m *ackbox.Message) { maps.DeleteFunc(m.Headers, func(string, any) bool { return true }) },
	} {
		got := message(change)
		if other, ok := seen[got]; ok {
			t.Errorf("%s gives the same as %s", what, other)
		}
		seen[got] = what
	}
}
