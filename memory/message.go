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
	cause       string // why it is in a dead queue
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
	if job.Ledger != "" {
		out.Ledger = job.Ledger
		out.Attempt = max(1, job.Attempt)
		out.AttemptsBefore = job.AttemptsBefore
		out.MaxAttempts = job.MaxAttempts
		out.Resend = job.Resend
	}
	return out
}

// viaDefault returns a copy of a delivered job addressed straight to q, which
// is how retries and dead messages travel. It carries its attempt in any case.
func viaDefault(job ackbox.Job, q *queue) ackbox.Job {
	out := onWire(job)
	out.Exchange, out.RoutingKey = "", q.name
	out.Attempt = max(1, job.Attempt)
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
	return core.Delivery{Job: job, Redelivered: m.redelivered, Returns: m.returns, Strays: m.strays, Renewals: m.renewals}
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
