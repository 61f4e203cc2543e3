package worker

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/content"
	"github.com/ackbox/ackbox/internal/core"
)

// Messages says how the messages of a queue are read that have no row: those that other
// programs publish. Each list is asked in order, and the first answer that is not empty
// counts. The zero Messages reads the properties type and message-id.
type Messages struct {
	// Kind finds the kind, by which the handler is found. Default [FromType]. A message
	// without any is buried in the dead queue; [Always], at the end, is for those.
	Kind []Find
	// ID finds what tells a message from all others of its queue: outbox.Complete makes
	// the effect of each happen once. Default [FromMessageID]. Where none is found
	// ackbox.Job.ID is a hash of the content, by which Complete does not go unless
	// [FromContent] is in the list.
	ID []Find
	// Tries finds how many tries a message had in somebody else's hands before it first
	// came here, as a decimal number: [FromHeader] of a header in which an older receiver
	// counts. Default none: it has had 0.
	Tries []Find
}

// Find finds something in a message, or returns "". It must be quick, must not modify
// the message, and is called from many goroutines at once. What it finds counts for
// nothing if it is no valid UTF-8, has a NUL or is longer than 255 bytes. If it panics it
// has found nothing, and the log says so.
type Find func(m *ackbox.Message) string

// FromType finds the property type.
func FromType() Find { return func(m *ackbox.Message) string { return m.Type } }

// FromMessageID finds the property message-id.
func FromMessageID() Find { return func(m *ackbox.Message) string { return m.ID } }

// FromRoutingKey finds the routing key by which the message was published.
func FromRoutingKey() Find { return func(m *ackbox.Message) string { return m.RoutingKey } }

// FromHeader finds a header's value, as text whatever its type is.
func FromHeader(name string) Find {
	return func(m *ackbox.Message) string { return content.Word(m.Headers[name]) }
}

// FromBody finds a field of a JSON body, also of one in gzip: text, a number or a
// boolean. path leads to it by names and, in arrays, numbers from 0: "meta.type",
// "messageType.0".
func FromBody(path string) Find {
	steps := strings.Split(path, ".")
	return func(m *ackbox.Message) string {
		body, err := content.Decode(m.ContentEncoding, m.Body)
		if err != nil {
			return "" // the handler's decoder says so
		}
		return content.Field(body, steps)
	}
}

// FromContent makes an id of all that the producer has said: exchange and routing key,
// the properties, the headers and the body. It is for messages that come without an id
// and of which no two that are meant differently are equal in everything, such as those
// that hold an order's number.
func FromContent() Find { return content.Hash }

// Always finds word in every message.
func Always(word string) Find { return func(*ackbox.Message) string { return word } }

// validate reports what is wrong with m, the Messages of a queue.
func (m Messages) validate() (errs []error) {
	for field, list := range map[string][]Find{"Kind": m.Kind, "ID": m.ID, "Tries": m.Tries} {
		for i, find := range list {
			if find == nil {
				errs = append(errs, fmt.Errorf("Messages.%s[%d] is nil: want a function such as worker.FromHeader(\"...\")", field, i))
			}
		}
	}
	return errs
}

func (m Messages) withDefaults() Messages {
	if len(m.Kind) == 0 {
		m.Kind = []Find{FromType()}
	}
	if len(m.ID) == 0 {
		m.ID = []Find{FromMessageID()}
	}
	m.Kind, m.ID, m.Tries = slices.Clone(m.Kind), slices.Clone(m.ID), slices.Clone(m.Tries)
	return m
}

// read makes a job of d, a message without a row. The error says which of the finds have
// failed; d is to be handled all the same.
func (m Messages) read(d core.Delivery) (core.Delivery, error) {
	if d.Message == nil { // a broker that knows no more of it
		d.Message = &ackbox.Message{
			Exchange: d.Exchange, RoutingKey: d.RoutingKey, ID: d.ID, Type: d.Kind, Timestamp: d.CreatedAt, Body: d.Payload,
		}
	}
	carried := d.ID // by a copy: what was made of it when it first came
	kind, badKind := first("Kind", m.Kind, d.Message)
	id, badID := first("ID", m.ID, d.Message)
	d.Kind, d.ID = kind, id
	if id == "" {
		d.IDFromContent = true
		if d.ID = carried; carried == "" || carried == d.Message.ID {
			d.ID = content.Hash(d.Message)
		}
	}
	if !d.FirstSeen.IsZero() || d.Attempt > 1 {
		return d, errors.Join(badKind, badID)
	}
	before, badTries := first("Tries", m.Tries, d.Message)
	d.Attempt = 1 + tries(before)
	return d, errors.Join(badKind, badID, badTries)
}

// maxWord bounds what is found in a message, in bytes: it is as long as a property of
// AMQP can be.
const maxWord = 255

// first is the first answer of list that counts, and which of those before it panicked.
func first(field string, list []Find, m *ackbox.Message) (word string, err error) {
	for i, find := range list {
		word, panicked := found(find, m)
		if panicked != nil {
			err = errors.Join(err, fmt.Errorf("%s[%d]: panic: %v", field, i, panicked))
		}
		if word != "" && len(word) <= maxWord && utf8.ValidString(word) && !strings.ContainsRune(word, 0) {
			return word, err
		}
	}
	return "", err
}

// found asks find, which is the application's and may be surprised by what others send.
func found(find Find, m *ackbox.Message) (word string, panicked any) {
	defer func() {
		if panicked = recover(); panicked != nil {
			word = ""
		}
	}()
	return find(m), nil
}

// tries reads a number of tries; what is none counts as 0.
func tries(word string) int {
	n, err := strconv.ParseUint(strings.TrimSpace(word), 10, 31)
	if err != nil {
		return 0
	}
	return int(min(n, math.MaxInt32/2))
}
