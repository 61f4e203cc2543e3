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
// whole seconds, only the caller's headers, and nothing that is not sent along
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
		out.Message = messageOf(job)
		return out
	}
	out.Ledger = job.Ledger
	out.Attempt = max(1, job.Attempt)
	out.AttemptsBefore = job.AttemptsBefore
	out.MaxAttempts = job.MaxAttempts
	out.Resend = job.Resend
	return out
}

// messageOf is what a job without a row is for whoever gets it: the message that it
// came as, or that it is published as now.
func messageOf(job ackbox.Job) *ackbox.Message {
	if job.Message != nil {
		m := *job.Message
		return &m
	}
	headers := make(map[string]any, len(job.Headers))
	for name, value := range callersHeaders(job.Headers) {
		headers[name] = value
	}
	return &ackbox.Message{
		Exchange: job.Exchange, RoutingKey: job.RoutingKey,
		ID: job.ID, Type: job.Kind, ContentType: "application/json", Timestamp: job.CreatedAt,
		Headers: headers, Body: bytes.Clone(job.Payload),
	}
}

// viaDefault returns a copy of a delivered job that goes straight to q, which is how
// retries and dead messages travel. It carries its tries in any case, and without a row
// the way by which its producer sent it.
func viaDefault(job ackbox.Job, q *queue) ackbox.Job {
	out := onWire(job)
	if job.Ledger != "" {
		out.Exchange, out.RoutingKey = "", q.name
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
