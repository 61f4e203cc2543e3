package otelackbox

import (
	"cmp"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"

	"github.com/ackbox/ackbox"
)

// Attributes that the semantic conventions have no word for.
const (
	keyKind    = attribute.Key("ackbox.job.kind")
	keyKey     = attribute.Key("ackbox.job.key")
	keyAttempt = attribute.Key("ackbox.job.attempt")
	keyResend  = attribute.Key("ackbox.job.resend")
	keyWaited  = attribute.Key("ackbox.job.waited")
	keyStatus  = attribute.Key("ackbox.status")
	keyOutcome = attribute.Key("ackbox.outcome")
	keyState   = attribute.Key("ackbox.state")
	keyPart    = attribute.Key("ackbox.part")
)

// Names of operations.
const (
	create  = "create"
	send    = "send"
	process = "process"
	giveUp  = "give_up"
)

// destination is where a job goes, as the conventions have it for RabbitMQ: the queue, or
// exchange and routing key.
func destination(job ackbox.Job) string {
	if job.Exchange == "" {
		return cmp.Or(job.Queue, job.RoutingKey)
	}
	return job.Exchange + ":" + job.RoutingKey
}

// place is where a job goes, in metrics: its queue, or an event's exchange. (Routing keys
// may have ids in them.)
func place(job ackbox.Job) string { return cmp.Or(job.Queue, job.Exchange, "(default exchange)") }

// spanAttributes are those of every span.
func (t *Telemetry) spanAttributes(job ackbox.Job, operation string, kind attribute.KeyValue) []attribute.KeyValue {
	list := []attribute.KeyValue{
		semconv.MessagingSystemKey.String(t.system),
		semconv.MessagingOperationName(operation), kind,
		semconv.MessagingDestinationName(destination(job)),
		semconv.MessagingMessageID(job.ID),
		keyKind.String(job.Kind),
	}
	if job.RoutingKey != "" {
		list = append(list, semconv.MessagingRabbitMQDestinationRoutingKey(job.RoutingKey))
	}
	if job.Key != "" {
		list = append(list, keyKey.String(job.Key))
	}
	if job.Attempt > 0 {
		list = append(list, keyAttempt.Int(job.Attempt))
	}
	if job.Resend > 0 {
		list = append(list, keyResend.Int(job.Resend))
	}
	return list
}

// label is what one set of a metric's attributes is made of.
type label struct{ kind, place, operation, word, failure string }

// labels remembers sets: there are few, and each is asked for at every job.
type labels struct{ known sync.Map }

// of is the set of l. The word is a status or an outcome.
func (t *Telemetry) set(l label, key attribute.Key) attribute.Set {
	if set, ok := t.labels.known.Load(l); ok {
		return set.(attribute.Set) //nolint:errcheck,forcetypeassert // nothing else is in it
	}
	list := []attribute.KeyValue{
		semconv.MessagingSystemKey.String(t.system),
		semconv.MessagingDestinationName(l.place),
		keyKind.String(l.kind),
	}
	if l.operation != "" {
		list = append(list, semconv.MessagingOperationName(l.operation))
	}
	if l.word != "" {
		list = append(list, key.String(l.word))
	}
	if l.failure != "" {
		list = append(list, semconv.ErrorTypeKey.String(l.failure))
	}
	set := attribute.NewSet(list...)
	t.labels.known.Store(l, set)
	return set
}

// labelOf is the label of a job.
func (t *Telemetry) labelOf(job ackbox.Job) label {
	return label{kind: t.kinds.bounded(job.Kind), place: t.places.bounded(place(job))}
}
