package rabbitmq

import (
	"math/big"
	"strings"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/content"
)

// words is a producer's header table in a form of use: each value as the text that a
// person would write for it.
func words(t amqp.Table) map[string]string {
	headers := make(map[string]string, len(t))
	for name, value := range t {
		if !ours(name) && !content.Bookkeeping(name) {
			headers[name] = content.Word(plain(value))
		}
	}
	return headers
}

// typed is a producer's header table with its types, in Go's words instead of the
// client library's.
func typed(t amqp.Table) map[string]any {
	headers := make(map[string]any, len(t))
	for name, value := range t {
		if !ours(name) {
			headers[name] = plain(value)
		}
	}
	return headers
}

// ours reports that a header was put on by Ackbox.
func ours(name string) bool { return strings.HasPrefix(name, ackbox.HeaderPrefix) }

// plain frees v of the client library's types.
func plain(v any) any {
	switch v := v.(type) {
	case amqp.Table:
		m := make(map[string]any, len(v))
		for name, value := range v {
			m[name] = plain(value)
		}
		return m
	case []any:
		list := make([]any, len(v))
		for i, value := range v {
			list[i] = plain(value)
		}
		return list
	case amqp.Decimal:
		return decimal(v)
	}
	return v
}

// decimal is d as people write it: 314 with a scale of 2 is 3.14.
func decimal(d amqp.Decimal) string {
	digits := new(big.Int).Abs(big.NewInt(int64(d.Value))).String()
	if scale := int(d.Scale); scale > 0 {
		if missing := scale + 1 - len(digits); missing > 0 {
			digits = strings.Repeat("0", missing) + digits
		}
		digits = digits[:len(digits)-scale] + "." + digits[len(digits)-scale:]
	}
	if d.Value < 0 {
		return "-" + digits
	}
	return digits
}
