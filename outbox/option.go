package outbox

import (
	"time"

	"github.com/ackbox/ackbox"
)

// Option changes one job when it is enqueued. Options are plain values: they
// can be shared by any number of calls.
type Option func(*draft)

// draft is a job on its way into the table.
type draft struct {
	job   ackbox.Job
	event bool
	own   bool
	// delay counts by the database's clock; at, if set, is the caller's.
	delay time.Duration
	at    time.Time
}

// Queue sends the job to the named work queue instead of the first of
// Config.Queues. A name that Config.Queues lacks is [ErrUnknownQueue].
func Queue(name string) Option { return func(d *draft) { d.job.Queue = name } }

// Delay makes the job due d after now, by the database's clock. A negative d
// is an error.
func Delay(delay time.Duration) Option { return func(d *draft) { d.delay = delay } }

// At makes the job due at t, as told by the caller; [Delay] is the better
// choice where the clocks of application and database may differ.
func At(t time.Time) Option { return func(d *draft) { d.at = t } }

// MaxAttempts gives the job n tries instead of Config.MaxAttempts; 1 to 1000.
func MaxAttempts(n int) Option { return func(d *draft) { d.job.MaxAttempts = n } }

// Header adds one header. Names that start with [ackbox.HeaderPrefix] are
// reserved.
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
func ID(id string) Option { return func(d *draft) { d.job.ID = id } }

// Via publishes the job to an exchange that routes it to its queue, instead of
// the default exchange. The binding must exist: a job that no queue takes is
// returned by the broker and ends nacked, not lost.
func Via(exchange, routingKey string) Option {
	return func(d *draft) { d.job.Exchange, d.job.RoutingKey = exchange, routingKey }
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
func OwnTransaction() Option { return func(d *draft) { d.own = true } }
