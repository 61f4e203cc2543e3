package ackbox

import "time"

// Args are the typed arguments of a job: any struct that encodes to JSON and
// names its kind. Kind must return the same constant for every value of the
// type: it is the word by which a worker finds the handler, and it outlives
// deploys, so choose it like a column name ("order.confirm").
type Args interface {
	Kind() string
}

// Job is one unit of work as dispatcher, broker and handler see it. It is a
// plain value: copying it is cheap, Payload and Headers are shared by the
// copies and must not be modified.
type Job struct {
	// ID is a UUID (version 7), the primary key of the job's row and the AMQP
	// message-id. It stays the same over every try and every resend, so it is
	// the key to deduplicate by. A message without a row has what its producer chose,
	// as a rule its message-id; see IDFromContent where it has none.
	ID string
	// IDFromContent says that a message without a row came without an id, so that ID is
	// a hash of all that its producer has said: stable over every try, but the same for
	// two messages that are equal in everything. Whether such two are one is for the
	// application to say: worker.Messages.
	IDFromContent bool
	// Kind selects the handler; it travels as the AMQP type.
	Kind string
	// Key says what the job is about, in the application's words (outbox.Key); empty if
	// it said nothing, and of a message without a row.
	Key string
	// Queue is the work queue that the job is consumed from. It is empty for a
	// publish-only message, which nobody here reports done.
	Queue string
	// Exchange and RoutingKey say where the dispatcher publishes. The default
	// exchange ("") with the queue's name reaches exactly that queue.
	Exchange   string
	RoutingKey string
	// Mandatory asks the broker to return the message if no queue is bound. It
	// is always true for a job; a publish-only message chooses.
	Mandatory bool
	// Payload is the JSON encoding of the job's [Args].
	Payload []byte
	// Headers are the caller's own (traceparent included). Names that start
	// with [HeaderPrefix] are reserved. Those of a message without a row are in a form
	// of use, whatever their type was; the types are in Message.
	Headers map[string]string
	// Attempt is the number of the current try, starting at 1. An outage or a
	// snooze does not raise it; nothing ever lowers it.
	Attempt int
	// AttemptsBefore are the tries that were made before an operator requeued the
	// job: it has MaxAttempts more of them since.
	AttemptsBefore int
	// MaxAttempts is the number of tries that are allowed, at least 1; 0 means
	// that the worker's default applies (a message without a row).
	MaxAttempts int
	// Resend counts the copies of this same try that were sent on purpose
	// because an earlier copy may be lost. Only the newest copy is run.
	Resend int
	// PublishAttempt counts how often the broker refused this job so far.
	PublishAttempt int
	// RefusedFor is how long ago the broker first refused this try, by the
	// database's clock, as its dispatcher read it; 0 if it never did.
	RefusedFor time.Duration
	// Waited is for how long the job had been due when its dispatcher claimed it, by the
	// database's clock. It does not travel: it is 0 in a worker.
	Waited time.Duration
	// SentAt is when its dispatcher put this copy on the wire, to the millisecond, by that
	// machine's clock. Zero unless the dispatcher has a [PublishHook]: nobody else asks.
	SentAt time.Time
	// CreatedAt is when the row was written, by the database's clock. A worker has it in
	// whole seconds, and to the millisecond where it has SentAt.
	CreatedAt time.Time
	// Ledger is the identity of the outbox table in which this job's row stands,
	// so its outcome is recorded there and nowhere else. It is empty for messages
	// without a row, which other services publish straight to a work queue.
	Ledger string
	// Message is what a message without a row came as; nil for jobs.
	Message *Message
}

// HeaderPrefix starts every header name that Ackbox itself puts on a message.
// Enqueueing a header with this prefix is an error.
const HeaderPrefix = "x-ackbox-"

// The headers that Ackbox puts on a message, in AMQP's header table or in
// whatever carries a message's headers. They are on jobs only: a publish-only
// message carries nothing but the caller's own headers.
const (
	// HeaderLedger is Job.Ledger, a string; it is absent where no row stands
	// behind the message.
	HeaderLedger = HeaderPrefix + "ledger"
	// HeaderAttempt is Job.Attempt, an integer; 1 if it is absent.
	HeaderAttempt = HeaderPrefix + "attempt"
	// HeaderAttemptsBefore is Job.AttemptsBefore, an integer; 0 if it is absent.
	HeaderAttemptsBefore = HeaderPrefix + "attempts-before"
	// HeaderMaxAttempts is Job.MaxAttempts, an integer.
	HeaderMaxAttempts = HeaderPrefix + "max-attempts"
	// HeaderResend is Job.Resend, an integer; 0 if it is absent.
	HeaderResend = HeaderPrefix + "resend"
	// HeaderKey is Job.Key, a string; absent where that is empty, and from events.
	HeaderKey = HeaderPrefix + "key"
	// HeaderSentAt is Job.SentAt and HeaderCreatedAt Job.CreatedAt, integers: milliseconds
	// since 1970. Absent unless the dispatcher has a [PublishHook].
	HeaderSentAt    = HeaderPrefix + "sent-at"
	HeaderCreatedAt = HeaderPrefix + "created-at"
	// HeaderStrays counts how often a worker of another ledger put the message aside,
	// an integer; 0 if it is absent.
	HeaderStrays = HeaderPrefix + "strays"
	// HeaderRenewals counts how often a message without a row was replaced by a fresh
	// copy because the broker had returned it so often, an integer; 0 if it is absent.
	HeaderRenewals = HeaderPrefix + "renewals"
	// HeaderID is Job.ID of a message that came without a message-id.
	HeaderID = HeaderPrefix + "id"
	// HeaderExchange and HeaderRoutingKey are those by which a message without a row
	// was published first; a copy of it goes another way.
	HeaderExchange   = HeaderPrefix + "exchange"
	HeaderRoutingKey = HeaderPrefix + "routing-key"
	// HeaderFirstSeen is when a worker first put the message aside, a timestamp. A requeue
	// from the dead queue begins anew, so that a kind that nobody knew is waited for again.
	HeaderFirstSeen = HeaderPrefix + "first-seen"
	// HeaderQueue and HeaderKind say of a message in a dead queue which queue it came
	// from and which kind it was taken for.
	HeaderQueue = HeaderPrefix + "queue"
	HeaderKind  = HeaderPrefix + "kind"
	// HeaderDiedAt is when it was given up, a timestamp.
	HeaderDiedAt = HeaderPrefix + "died-at"
	// HeaderError is the last error of a message that was buried in the
	// broker's dead queue because no row stands behind it.
	HeaderError = HeaderPrefix + "error"
)
