package outbox

import (
	"fmt"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/name"
)

// Option changes one job when it is enqueued. Options are plain values: they
// can be shared by any number of calls. Of two of the same kind the last wins.
// A bad value is reported by Enqueue, which then writes nothing.
type Option func(*draft)

// draft is a job on its way into the table.
type draft struct {
	job   ackbox.Job
	event bool
	via   bool
	own   bool
	// delay counts by the database's clock; at, if set, is the caller's.
	delay time.Duration
	at    time.Time
	// errs are the options' complaints.
	errs []error
}

func (d *draft) bad(format string, args ...any) { d.errs = append(d.errs, fmt.Errorf(format, args...)) }

// Queue sends the job to the named work queue instead of the first of
// Config.Queues. A name that Config.Queues lacks is [ErrUnknownQueue].
func Queue(name string) Option {
	return func(d *draft) {
		if name == "" {
			d.bad("%w %q: leave Queue out for the default one", ErrUnknownQueue, name)
		}
		d.job.Queue = name
	}
}

// Delay makes the job due d after it is written, by the database's clock,
// rounded up to a millisecond. A negative d is an error.
func Delay(delay time.Duration) Option {
	return func(d *draft) {
		if delay < 0 {
			d.bad("Delay is %v: want 0 or more", delay)
		}
		d.delay = delay
	}
}

// At makes the job due at t, as told by the caller; [Delay] is the better
// choice where the clocks of application and database may differ. A t in the
// past is due at once; the zero Time is an error, and so is a year that has
// not four digits.
func At(t time.Time) Option {
	return func(d *draft) {
		if year := t.UTC().Year(); t.IsZero() || year < 1 || year > 9999 {
			d.bad("At is %v: want a time that was set, of the years 1 to 9999", t)
		}
		d.at = t
	}
}

// MaxAttempts gives the job n tries instead of Config.MaxAttempts; 1 to 1000.
func MaxAttempts(n int) Option {
	return func(d *draft) {
		if n < 1 || n > 1000 {
			d.bad("MaxAttempts is %d: want 1 to 1000", n)
		}
		d.job.MaxAttempts = n
	}
}

// Header adds one header. Names that start with [ackbox.HeaderPrefix] are
// reserved, and refused are those that RabbitMQ acts on: CC, BCC, x-death,
// x-delivery-count, x-acquired-count, x-first-death-… and x-last-death-…, in
// whatever case. Names and values are UTF-8 without NUL bytes.
func Header(name, value string) Option {
	return func(d *draft) {
		if d.job.Headers == nil {
			d.job.Headers = make(map[string]string)
		}
		d.job.Headers[name] = value
	}
}

// ID gives the job an id chosen by the caller, a UUID such as [NewID] makes.
// Enqueueing the same id twice violates the table's primary key, which fails
// the caller's transaction.
func ID(id string) Option {
	return func(d *draft) {
		if !validID(id) {
			d.bad("ID %.100q is not a UUID in lower case, such as outbox.NewID makes", id)
		}
		d.job.ID = id
	}
}

// Key says what the job is about, in the application's own words, such as "order:42":
// whoever asks what happened to order 42 finds its jobs by it ([Filter]), and the handler
// reads it as [ackbox.Job.Key]. Any number of jobs may have the same. 1 to 200 bytes of
// valid UTF-8 without NUL; the broker's people can read it, as they can the payload.
func Key(key string) Option {
	return func(d *draft) {
		if key == "" || len(key) > name.MaxLen || !plain(key) {
			d.bad("Key %.100q: want 1 to %d bytes of valid UTF-8 without NUL", key, name.MaxLen)
		}
		d.job.Key = key
	}
}

// Via publishes the job to an exchange that routes it to its queue, instead of
// the default exchange. The binding must exist: a job that no queue takes is
// returned by the broker and ends nacked, not lost.
func Via(exchange, routingKey string) Option {
	return func(d *draft) {
		d.via = true
		d.job.Exchange, d.job.RoutingKey = exchange, routingKey
	}
}

// Event makes this a publish-only message: an event for whoever is bound to
// exchange, or, with the default exchange "", a message for the queue that
// routingKey names and somebody else consumes. Its row ends at sent. Nobody
// listening is no fault, unless [Mandatory] says so.
func Event(exchange, routingKey string) Option {
	return func(d *draft) {
		d.event = true
		d.job.Exchange, d.job.RoutingKey = exchange, routingKey
	}
}

// Mandatory asks the broker to refuse an [Event] that no queue takes. Jobs are
// always mandatory.
func Mandatory() Option { return func(d *draft) { d.job.Mandatory = true } }

// OwnTransaction lets Enqueue open and commit a transaction of its own where
// the handle is not in one: for jobs that belong to no business transaction.
// In a transaction it changes nothing. [EnqueueAll] wants it on every item.
func OwnTransaction() Option { return func(d *draft) { d.own = true } }
