package memory

import (
	"context"
	"fmt"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
)

// maxShortString is AMQP's limit for names. What is longer could not be sent
// to a server, so a test should hear of it.
const maxShortString = 255

// parcel is a job on its way in: checked, routed and copied before the lock is
// taken.
type parcel struct {
	job     ackbox.Job
	targets []*queue
	outcome core.Outcome // final if there are no targets
}

// Publish puts each job into the queues that its exchange and routing key
// reach, and answers for each by itself, at its index in jobs:
//
//   - Acked: it is in all of them, or there is none and the job is not
//     Mandatory; such a message is dropped.
//   - Returned: no queue is bound and the job is Mandatory.
//   - NackedByBroker: the exchange does not exist, the payload is larger than
//     Config.MaxMessageBytes, a name does not fit AMQP's 255 bytes, or a queue
//     is at its MaxLength. In the last case other queues bound to the same
//     exchange have got their copy, as with RabbitMQ.
//   - Unknown, for the whole batch: ctx has ended, or the broker is away or
//     closed. Nothing was put anywhere.
//
// Jobs are copied: the caller may change them afterwards.
func (b *Broker) Publish(ctx context.Context, jobs []ackbox.Job) []core.Outcome {
	parcels := make([]parcel, len(jobs))
	for i, job := range jobs {
		parcels[i] = b.pack(job)
	}
	outcomes := make([]core.Outcome, len(jobs))
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.refuses(ctx); err != nil {
		for i := range outcomes {
			outcomes[i] = core.Outcome{Status: core.Unknown, Reason: err.Error()}
		}
		return outcomes
	}
	for i, p := range parcels {
		outcomes[i] = p.deliver()
	}
	return outcomes
}

// pack decides about job as far as that needs no lock.
func (b *Broker) pack(job ackbox.Job) parcel {
	if n := len(job.Payload); n > b.maxMessageBytes {
		return parcel{outcome: unfit("payload is %d bytes: the limit is %d", n, b.maxMessageBytes)}
	}
	for _, s := range [...]struct{ what, value string }{
		{"exchange", job.Exchange}, {"routing key", job.RoutingKey}, {"ID", job.ID}, {"kind", job.Kind},
	} {
		if len(s.value) > maxShortString {
			return parcel{outcome: unfit("%s is %d bytes: the limit is %d", s.what, len(s.value), maxShortString)}
		}
	}
	targets, ok := b.routes.lookup(job.Exchange, job.RoutingKey)
	switch {
	case !ok:
		return parcel{outcome: nacked("no exchange %q", job.Exchange)}
	case len(targets) > 0:
		return parcel{job: onWire(job), targets: targets}
	case job.Mandatory:
		return parcel{outcome: core.Outcome{
			Status: core.Returned,
			Reason: fmt.Sprintf("no queue is bound to exchange %q with routing key %q", job.Exchange, job.RoutingKey),
		}}
	default:
		return parcel{outcome: core.Outcome{Status: core.Acked}}
	}
}

// deliver puts the parcel into its queues. The broker's mutex must be held.
func (p parcel) deliver() core.Outcome {
	if len(p.targets) == 0 {
		return p.outcome
	}
	outcome := core.Outcome{Status: core.Acked}
	for _, q := range p.targets {
		if q.full() {
			outcome = nacked("queue %q is full: %d messages are waiting", q.name, q.maxLength)
			continue
		}
		q.add(message{job: p.job})
	}
	return outcome
}

// unfit refuses a message for what it is.
func unfit(format string, args ...any) core.Outcome {
	outcome := nacked(format, args...)
	outcome.OfMessage = true
	return outcome
}

func nacked(format string, args ...any) core.Outcome {
	return core.Outcome{Status: core.NackedByBroker, Reason: fmt.Sprintf(format, args...)}
}
