package memory

import (
	"bytes"
	"maps"
	"strings"
	"time"

	"github.com/ackbox/ackbox"
)

// message is one copy of a job in one queue. Its job is not modified once the
// message is in a queue; the other fields are guarded by the broker's mutex.
type message struct {
	job         ackbox.Job
	redelivered bool
	returns     int
	cause       string // why it is in a dead queue
	seq         uint64 // its place among the messages of its queue
}

// onWire returns what is left of job after a way through RabbitMQ: the time in
// whole seconds, only the caller's headers, and nothing that is not sent along
// (Mandatory, PublishAttempt). A publish-only message carries no word of ours,
// so that it arrives as a first try without a ledger row. Payload and headers
// are copies.
func onWire(job ackbox.Job) ackbox.Job {
	out := ackbox.Job{
		ID:         job.ID,
		Kind:       job.Kind,
		Exchange:   job.Exchange,
		RoutingKey: job.RoutingKey,
		Payload:    bytes.Clone(job.Payload),
		Headers:    callersHeaders(job.Headers),
		Attempt:    1,
	}
	if !job.CreatedAt.IsZero() {
		out.CreatedAt = time.Unix(job.CreatedAt.Unix(), 0).UTC()
	}
	if job.Queue != "" {
		out.Attempt = max(1, job.Attempt)
		out.MaxAttempts = job.MaxAttempts
		out.Resend = job.Resend
		out.Ledger = job.Ledger
	}
	return out
}

// viaDefault returns a copy of job addressed straight to q, which is how
// retries and dead messages travel.
func viaDefault(job ackbox.Job, q *queue) ackbox.Job {
	out := onWire(job)
	out.Exchange, out.RoutingKey = "", q.name
	return out
}

// delivery returns m as a handler gets it, without a receipt. Payload and
// headers are copies: whatever a handler does to them, the next delivery of
// the same message is whole, as it is with a server.
func (m *message) delivery() ackbox.Delivery {
	job := m.job
	job.Payload = bytes.Clone(job.Payload)
	job.Headers = maps.Clone(job.Headers)
	if m.cause != "" {
		if job.Headers == nil {
			job.Headers = make(map[string]string, 1)
		}
		job.Headers[ackbox.HeaderError] = m.cause
	}
	return ackbox.Delivery{Job: job, Redelivered: m.redelivered, Returns: m.returns}
}

// callersHeaders copies headers without the reserved ones; nil if none is left.
func callersHeaders(headers map[string]string) map[string]string {
	var out map[string]string
	for name, value := range headers {
		if strings.HasPrefix(name, ackbox.HeaderPrefix) {
			continue
		}
		if out == nil {
			out = make(map[string]string, len(headers))
		}
		out[name] = value
	}
	return out
}
