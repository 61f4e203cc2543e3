package memory

import (
	"bytes"
	"maps"
	"strings"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
)

// message is one copy of a job in one queue. Its job is not modified once the
// message is in a queue; the other fields are guarded by the broker's mutex.
type message struct {
	job         ackbox.Job
	redelivered bool
	returns     int
	strays      int
	renewals    int
	firstSeen   time.Time // by a worker that put it aside
	cause       string    // why it is in a dead queue
	diedAt      time.Time
	seq         uint64 // its place among the messages of its queue
}

// onWire returns what is left of job after a way through RabbitMQ: the time in
// whole seconds (milliseconds beside SentAt), only the caller's headers, and nothing that is not sent along
// (PublishAttempt). Without a ledger row it carries no word of ours, so that it
// arrives as a first try. Payload and headers are copies.
func onWire(job ackbox.Job) ackbox.Job {
	out := ackbox.Job{
		ID:         job.ID,
		Kind:       job.Kind,
		Exchange:   job.Exchange,
		RoutingKey: job.RoutingKey,
		Mandatory:  true, // nobody can tell any more
		Payload:    bytes.Clone(job.Payload),
		Headers:    callersHeaders(job.Headers),
		Attempt:    1,
	}
	if !job.CreatedAt.IsZero() {
		out.CreatedAt = time.Unix(job.CreatedAt.Unix(), 0)
	}
	if job.Ledger == "" {
		out.Message = messageOf(out)
		return out
	}
	out.Ledger = job.Ledger
	out.Attempt = max(1, job.Attempt)
	out.AttemptsBefore = job.AttemptsBefore
	out.MaxAttempts = job.MaxAttempts
	out.Resend = job.Resend
	out.Key = job.Key
	if !job.SentAt.IsZero() {
		out.SentAt = time.UnixMilli(job.SentAt.UnixMilli()).UTC()
		out.CreatedAt = time.UnixMilli(job.CreatedAt.UnixMilli()).UTC()
	}
	return out
}

// messageOf is what out, as it is published, is for whoever gets it.
func messageOf(out ackbox.Job) *ackbox.Message {
	headers := make(map[string]any, len(out.Headers))
	for name, value := range out.Headers {
		headers[name] = value
	}
	return &ackbox.Message{
		Exchange: out.Exchange, RoutingKey: out.RoutingKey,
		ID: out.ID, Type: out.Kind, ContentType: "application/json", Timestamp: out.CreatedAt,
		Headers: headers, Body: out.Payload,
	}
}

// viaDefault returns a copy of a delivered job that goes straight to q, which is how
// retries and dead messages travel. It carries its tries in any case, and without a row
// what its producer said, whatever was made of it meanwhile.
func viaDefault(job ackbox.Job, q *queue) ackbox.Job {
	out := onWire(job)
	switch {
	case job.Ledger != "":
		out.Exchange, out.RoutingKey = "", q.name
	case job.Message != nil:
		m := *job.Message
		out.Message = &m
		out.Kind = m.Type
	}
	out.Attempt = max(1, job.Attempt)
	out.AttemptsBefore = job.AttemptsBefore
	return out
}

// delivery returns m as a handler gets it, without a receipt. Payload and
// headers are copies: whatever a handler does to them, the next delivery of
// the same message is whole, as it is with a server.
func (m *message) delivery() core.Delivery {
	job := m.job
	job.Payload = bytes.Clone(job.Payload)
	job.Headers = maps.Clone(job.Headers)
	if m.cause != "" {
		job.Headers[ackbox.HeaderError] = m.cause
	}
	if job.Message != nil {
		message := *job.Message
		message.Headers, message.Body = maps.Clone(message.Headers), bytes.Clone(message.Body)
		job.Message = &message
	}
	return core.Delivery{
		Job: job, Redelivered: m.redelivered, Returns: m.returns, Strays: m.strays, Renewals: m.renewals, FirstSeen: m.firstSeen,
	}
}

// aside is d as it goes to wait somewhere: seen first now, if never before.
func aside(d core.Delivery, job ackbox.Job) message {
	first := d.FirstSeen
	if first.IsZero() && d.Ledger == "" {
		first = time.Unix(time.Now().Unix(), 0)
	}
	return message{job: job, strays: d.Strays, renewals: d.Renewals, firstSeen: first}
}

// callersHeaders copies headers without the reserved ones; it is never nil.
func callersHeaders(headers map[string]string) map[string]string {
	out := maps.Clone(headers)
	if out == nil {
		out = make(map[string]string)
	}
	maps.DeleteFunc(out, func(name, _ string) bool { return strings.HasPrefix(name, ackbox.HeaderPrefix) })
	return out
}
