package ackbox

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/ackbox/ackbox/internal/name"
)

// DefaultQueue is the work queue used where none is named.
const DefaultQueue = "default"

// QueueType chooses how the broker stores a queue. Brokers without such a
// choice (memory) ignore it.
type QueueType string

const (
	// Quorum queues are replicated and, measured on RabbitMQ 3.10, about twice
	// as fast as classic ones for confirmed persistent messages. The default.
	Quorum QueueType = "quorum"
	// Classic queues live on one node.
	Classic QueueType = "classic"
)

// ExchangeKind chooses how an exchange routes.
type ExchangeKind string

const (
	// Direct routes to the queues bound with exactly the routing key.
	Direct ExchangeKind = "direct"
	// Topic routes by pattern: words between dots, * for one word, # for any
	// number of words.
	Topic ExchangeKind = "topic"
	// Fanout routes to every bound queue.
	Fanout ExchangeKind = "fanout"
	// Headers routes by a binding's Arguments.
	Headers ExchangeKind = "headers"
)

// Topology names the queues and exchanges that an application uses, in Go, in
// one place: give the same value to the broker, its queue names to the outbox
// and the worker. The zero Topology is one quorum queue named [DefaultQueue].
type Topology struct {
	Queues    []Queue
	Exchanges []Exchange
}

// Queue is a durable work queue.
type Queue struct {
	// Name is 1 to 200 bytes of letters, digits and "._:-", the first a letter
	// or digit; that of a Passive queue whatever its owner has named it.
	Name string
	// Type is [Quorum] unless set.
	Type QueueType
	// MaxLength bounds the number of waiting messages; a full queue refuses
	// new ones (overflow reject-publish), so nothing is dropped. 0 means no
	// bound.
	MaxLength int
	// Bindings route messages of an exchange to this queue. The default
	// exchange needs none.
	Bindings []Binding
	// Passive says that the queue is somebody else's: it is only checked to exist, with
	// whatever arguments its owner gave it. Retry and dead queues beside it are ours
	// in either case.
	Passive bool
	// Arguments are further x-arguments to declare the queue with (x-message-ttl,
	// x-dead-letter-exchange, x-max-priority, x-single-active-consumer, ...), as its
	// other users declare it: string, bool, int, int32, int64 or float64, at most 2048
	// bytes of names and texts.
	Arguments map[string]any
	// DeliveryLimit is how often the broker lets a message of a quorum queue come back
	// before it drops or dead-letters it. What is ours is declared with it; by default
	// so high that nothing ever is. Of a Passive queue, say what its owner has set,
	// since AMQP cannot ask: default 20, RabbitMQ 4's. At least 2.
	DeliveryLimit int
}

// Binding ties a queue to an exchange.
type Binding struct {
	// Exchange is one of Topology.Exchanges.
	Exchange string
	// RoutingKey is at most [name.MaxLen] bytes of UTF-8 without NUL; an exchange
	// of the kind [Topic] takes it for a pattern.
	RoutingKey string
	// Arguments are what an exchange of the kind [Headers], or of a plugin, matches by.
	Arguments map[string]any
}

// Exchange is a durable exchange.
type Exchange struct {
	// Name is like that of a [Queue].
	Name string
	// Kind is [Direct] unless set.
	Kind ExchangeKind
	// Passive says that the exchange is somebody else's: it is only checked to exist.
	Passive bool
	// Arguments are x-arguments to declare it with (alternate-exchange, ...).
	Arguments map[string]any
}

// WithDefaults returns a copy of t, which shares nothing with it, in which every unset
// field has its default.
func (t Topology) WithDefaults() Topology {
	out := Topology{
		Queues:    append([]Queue(nil), t.Queues...),
		Exchanges: append([]Exchange(nil), t.Exchanges...),
	}
	if len(out.Queues) == 0 {
		out.Queues = []Queue{{Name: DefaultQueue}}
	}
	for i := range out.Queues {
		q := &out.Queues[i]
		q.Arguments = maps.Clone(q.Arguments)
		q.Bindings = slices.Clone(q.Bindings)
		for j := range q.Bindings {
			q.Bindings[j].Arguments = maps.Clone(q.Bindings[j].Arguments)
		}
		if q.Type == "" {
			q.Type = Quorum
		}
		switch {
		case q.DeliveryLimit != 0 || q.Type != Quorum:
		case q.Passive:
			q.DeliveryLimit = rabbitDeliveryLimit
		default:
			q.DeliveryLimit = maxDeliveryLimit
		}
	}
	for i := range out.Exchanges {
		out.Exchanges[i].Arguments = maps.Clone(out.Exchanges[i].Arguments)
		if out.Exchanges[i].Kind == "" {
			out.Exchanges[i].Kind = Direct
		}
	}
	return out
}

// QueueNames lists the names of t's queues in their order, after defaults.
func (t Topology) QueueNames() []string {
	queues := t.WithDefaults().Queues
	names := make([]string, len(queues))
	for i, q := range queues {
		names[i] = q.Name
	}
	return names
}

// Validate reports everything that is wrong with t, each error naming the
// field and what is accepted. Unset fields count as their defaults.
func (t Topology) Validate() error {
	t = t.WithDefaults()
	var errs []error
	exchanges := make(map[string]bool, len(t.Exchanges))
	for i, x := range t.Exchanges {
		field := fmt.Sprintf("Exchanges[%d]", i)
		errs = append(errs, checkName(x.Passive, field+".Name", x.Name))
		if exchanges[x.Name] {
			errs = append(errs, fmt.Errorf("ackbox: %s.Name %q is listed twice", field, x.Name))
		}
		exchanges[x.Name] = true
		switch x.Kind {
		case Direct, Topic, Fanout, Headers:
		default:
			errs = append(errs, fmt.Errorf("ackbox: %s.Kind %.100q: want %q, %q, %q or %q", field, x.Kind, Direct, Topic, Fanout, Headers))
		}
		errs = append(errs, checkArguments(field+".Arguments", x.Arguments)...)
		if x.Passive && len(x.Arguments) > 0 {
			errs = append(errs, fmt.Errorf("ackbox: %s.Arguments is set, and so is Passive: they are the owner's to declare; want one of the two", field))
		}
	}
	queues := make(map[string]bool, len(t.Queues))
	for i, q := range t.Queues {
		field := fmt.Sprintf("Queues[%d]", i)
		errs = append(errs, checkName(q.Passive, field+".Name", q.Name))
		if queues[q.Name] {
			errs = append(errs, fmt.Errorf("ackbox: %s.Name %q is listed twice", field, q.Name))
		}
		queues[q.Name] = true
		if q.Type != Quorum && q.Type != Classic {
			errs = append(errs, fmt.Errorf("ackbox: %s.Type %.100q: want %q or %q", field, q.Type, Quorum, Classic))
		}
		errs = append(errs, checkQueueArguments(field, q)...)
		if q.MaxLength < 0 {
			errs = append(errs, fmt.Errorf("ackbox: %s.MaxLength is %d: want 0 (no bound) or more", field, q.MaxLength))
		}
		for j, b := range q.Bindings {
			if !exchanges[b.Exchange] {
				errs = append(errs, fmt.Errorf("ackbox: %s.Bindings[%d].Exchange %.100q is not among Exchanges", field, j, b.Exchange))
			}
			if !utf8.ValidString(b.RoutingKey) || strings.ContainsRune(b.RoutingKey, 0) {
				errs = append(errs, fmt.Errorf("ackbox: %s.Bindings[%d].RoutingKey %.100q: want valid UTF-8 without NUL", field, j, b.RoutingKey))
			}
			errs = append(errs, checkArguments(fmt.Sprintf("%s.Bindings[%d].Arguments", field, j), b.Arguments)...)
			if len(b.RoutingKey) > name.MaxLen {
				errs = append(errs, fmt.Errorf("ackbox: %s.Bindings[%d].RoutingKey is %d bytes long: at most %d are allowed", field, j, len(b.RoutingKey), name.MaxLen))
			}
		}
	}
	return errors.Join(errs...)
}

func checkName(theirs bool, field, s string) error {
	if theirs {
		return name.CheckTheirs(field, s)
	}
	return name.Check(field, s)
}
