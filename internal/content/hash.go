package content

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/ackbox/ackbox"
)

// Hash is a UUID (version 8) made of all that m's producer has said: exchange, routing
// key, every property, the headers and the body. It leaves out what a broker or a worker
// adds on the way, so that every copy has the same.
func Hash(m *ackbox.Message) string {
	d := digest{sha256.New()}
	for _, s := range [...]string{
		m.Exchange, m.RoutingKey, m.ID, m.Type, m.AppID, m.CorrelationID, m.ReplyTo, m.ContentType, m.ContentEncoding,
	} {
		d.text(s)
	}
	d.number(uint64(m.Priority))
	d.value(m.Timestamp)
	d.table(m.Headers, onTheWay)
	d.text(string(m.Body))
	id := d.Sum(nil)[:16]
	id[6], id[8] = id[6]&0x0f|0x80, id[8]&0x3f|0x80 // version 8, as RFC 9562 has it
	x := hex.EncodeToString(id)
	return strings.Join([]string{x[:8], x[8:12], x[12:16], x[16:20], x[20:]}, "-")
}

// onTheWay reports that a header was put on by a broker or by Ackbox.
func onTheWay(name string) bool {
	return strings.HasPrefix(name, ackbox.HeaderPrefix) || Bookkeeping(name) || name == "CC"
}

// Bookkeeping reports that a header tells of a message's way through the broker, not of
// the message.
func Bookkeeping(name string) bool {
	switch name {
	case "x-delivery-count", "x-acquired-count", "x-death",
		"x-first-death-exchange", "x-first-death-queue", "x-first-death-reason",
		"x-last-death-exchange", "x-last-death-queue", "x-last-death-reason":
		return true
	}
	return false
}

// digest takes values in such a form that no two have the same.
type digest struct{ hash.Hash }

func (d digest) number(n uint64) {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], n)
	_, _ = d.Write(b[:]) // a hash takes everything
}

func (d digest) text(s string) {
	d.number(uint64(len(s)))
	_, _ = d.Write([]byte(s))
}

func (d digest) table(t map[string]any, leftOut func(string) bool) {
	for _, name := range slices.Sorted(maps.Keys(t)) {
		if leftOut == nil || !leftOut(name) {
			d.text(name)
			d.value(t[name])
		}
	}
	d.number(math.MaxUint64) // no text is that long
}

// value takes v without the width of numbers, which a way through a broker may change.
func (d digest) value(v any) {
	switch v := v.(type) {
	case []byte:
		d.text("text")
		d.text(string(v))
	case string:
		d.text("text")
		d.text(v)
	case time.Time: // AMQP's are in seconds
		d.text("time")
		if !v.IsZero() {
			d.number(uint64(v.Unix())) //nolint:gosec // its bits are enough
		}
	case map[string]any:
		d.text("table")
		d.table(v, nil)
	case []any:
		d.text("list")
		d.number(uint64(len(v)))
		for _, item := range v {
			d.value(item)
		}
	default:
		d.text(fmt.Sprint(v))
	}
}
