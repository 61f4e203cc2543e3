package rabbitmq

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ackbox/ackbox"
)

// words is a producer's header table in a form of use: each value as the text that a
// person would write for it.
func words(t amqp.Table) map[string]string {
	headers := make(map[string]string, len(t))
	for name, value := range t {
		if !ours(name) && !bookkeeping(name) {
			headers[name] = word(value)
		}
	}
	return headers
}

// ours reports that a header was put on by Ackbox.
func ours(name string) bool { return strings.HasPrefix(name, ackbox.HeaderPrefix) }

// word is one value as text. Bytes that are no text are in base64, tables and arrays in
// JSON, nothing is "".
func word(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case []byte:
		return text(v)
	case bool:
		return strconv.FormatBool(v)
	case float32:
		return strconv.FormatFloat(float64(v), 'g', -1, 32)
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	case time.Time:
		return v.UTC().Format(time.RFC3339)
	case amqp.Decimal:
		return decimal(v)
	case amqp.Table, []any:
		encoded, err := json.Marshal(plain(v, word))
		if err != nil { // no value of AMQP's leads here
			return ""
		}
		return string(encoded)
	}
	return fmt.Sprint(v) // the integers
}

// text is b if it is text, or else its base64.
func text(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	return base64.StdEncoding.EncodeToString(b)
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

// typed is a producer's header table with its types, in Go's words instead of the
// client library's.
func typed(t amqp.Table) map[string]any {
	headers := make(map[string]any, len(t))
	for name, value := range t {
		if !ours(name) {
			headers[name] = plain(value, nil)
		}
	}
	return headers
}

// plain frees v of the client library's types. With leaf, what JSON has no word for
// becomes text.
func plain(v any, leaf func(any) string) any {
	switch v := v.(type) {
	case amqp.Table:
		m := make(map[string]any, len(v))
		for name, value := range v {
			m[name] = plain(value, leaf)
		}
		return m
	case []any:
		list := make([]any, len(v))
		for i, value := range v {
			list[i] = plain(value, leaf)
		}
		return list
	case amqp.Decimal:
		return decimal(v)
	case []byte, time.Time:
		if leaf != nil {
			return leaf(v)
		}
	case float64:
		if leaf != nil && (math.IsNaN(v) || math.IsInf(v, 0)) {
			return leaf(v) // JSON has neither
		}
	case float32:
		if leaf != nil {
			return plain(float64(v), leaf)
		}
	}
	return v
}
