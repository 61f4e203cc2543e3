package outbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/hook"
	"github.com/ackbox/ackbox/internal/name"
)

// Defaults of [Config].
const (
	// DefaultSchema is where the jobs table is on PostgreSQL.
	DefaultSchema = "public"
	// DefaultTable is the name of the jobs table.
	DefaultTable = "ackbox_jobs"
	// DefaultMaxAttempts is how many tries a job has.
	DefaultMaxAttempts = 10
	// DefaultMaxPayloadBytes is the largest payload.
	DefaultMaxPayloadBytes = 256 << 10
	// DefaultMaxHeaderBytes is the largest sum of header names and values.
	DefaultMaxHeaderBytes = 16 << 10
	// DefaultMaxBatchBytes bounds the payloads and headers of a claimed batch.
	// With two batches on the wire a dispatcher holds 16 MiB of them, and two
	// payloads.
	DefaultMaxBatchBytes = 8 << 20
	// DefaultStatementTimeout bounds each statement.
	DefaultStatementTimeout = 5 * time.Second
	// DefaultWireTimeout bounds how long a claimed batch may be on the wire.
	DefaultWireTimeout = 10 * time.Second
)

// Config configures a [Store]. The zero Config works.
type Config struct {
	// Schema holds the jobs table, [DefaultSchema] unless set. Every statement names
	// it, so no search_path leads to another table. Migrate makes it where it is
	// missing. PostgreSQL only. Like Table it is 1 to 40 lower-case letters, digits
	// and underscores, no digit first.
	Schema string
	// Table is the jobs table, [DefaultTable] unless set.
	Table string
	// Partitioned keeps the table in daily partitions, by the day in a job's
	// id, so that finished days are dropped instead of deleted row by row: for
	// high volume; docs/partitions.md says what it costs. Default false.
	// PostgreSQL only. Migrate makes a new table so, and refuses an existing one
	// that is otherwise. [Store.MakePartitions] and [Store.DropPartitions] must
	// then be called daily or more often; retry.Sweeper does.
	Partitioned bool
	// Queues are the work queues that jobs may name; enqueueing to another is
	// an error, so a typing mistake is found where it is made. The first is
	// the default of a job that names none. Default: just
	// [ackbox.DefaultQueue].
	Queues []string
	// MaxAttempts is how many tries a job has that says nothing else.
	// Default 10; 1 to 1000.
	MaxAttempts int
	// MaxPayloadBytes is the largest encoded payload that Enqueue accepts.
	// Default 256 KiB; 1 byte to 128 MiB. Keep it below the broker's limit (16
	// MiB on RabbitMQ 4).
	MaxPayloadBytes int
	// MaxHeaderBytes bounds the sum of a job's header names and values, and 6 bytes
	// for each header. Default 16 KiB; 1 byte to 64 KiB: on RabbitMQ all of them share one frame.
	MaxHeaderBytes int
	// MaxBatchBytes bounds the payloads and headers of the jobs that one call of
	// [Store.Relay] claims: the job that reaches it is the batch's last, so one
	// always goes. A dispatcher holds as much for each of its batches in flight,
	// and one payload. Default 8 MiB; 1 byte to 1 GiB.
	MaxBatchBytes int
	// StatementTimeout bounds every statement of the Store, Complete in a
	// handler's transaction included. Default 5 s; 1 ms to 1 h.
	StatementTimeout time.Duration
	// WireTimeout bounds how long a dispatcher may hold a claimed batch, and
	// so for how long a frozen process can keep rows locked: PostgreSQL ends
	// its session WireTimeout + StatementTimeout after it went silent.
	// Default 10 s; 1 ms to 1 h. It must exceed the broker's confirm timeout by
	// two seconds.
	WireTimeout time.Duration
	// HeadersFrom, if set, is called by Enqueue to add headers from the
	// caller's context, such as a W3C traceparent. It is given the job as it will be
	// written, with the headers of its options, which win. It must be safe for
	// concurrent use.
	HeadersFrom func(context.Context, ackbox.Job) map[string]string
	// Hooks are told of the jobs that are written ([ackbox.EnqueueHook]), in the order
	// given. What they panic with is logged by slog.Default().
	Hooks []ackbox.Hook
}

func (c Config) withDefaults(d *dialect) Config {
	if d.schemas {
		c.Schema = cmp.Or(c.Schema, DefaultSchema)
	}
	c.Table = cmp.Or(c.Table, DefaultTable)
	if len(c.Queues) == 0 {
		c.Queues = []string{ackbox.DefaultQueue}
	}
	c.MaxAttempts = cmp.Or(c.MaxAttempts, DefaultMaxAttempts)
	c.MaxPayloadBytes = cmp.Or(c.MaxPayloadBytes, DefaultMaxPayloadBytes)
	c.MaxHeaderBytes = cmp.Or(c.MaxHeaderBytes, DefaultMaxHeaderBytes)
	c.MaxBatchBytes = cmp.Or(c.MaxBatchBytes, DefaultMaxBatchBytes)
	c.StatementTimeout = cmp.Or(c.StatementTimeout, DefaultStatementTimeout)
	c.WireTimeout = cmp.Or(c.WireTimeout, DefaultWireTimeout)
	return c
}

const (
	maxPayload = 128 << 20
	maxHeaders = 64 << 10
	maxBatch   = 1 << 30
	maxTimeout = time.Hour
)

// 40 of PostgreSQL's 63 bytes leave room for the names of the table's indexes.
var identifier = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,39}$`)

func (c Config) validate(d *dialect) error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("outbox: Config."+format, args...)) }
	const want = "want 1 to 40 lower-case letters, digits or underscores, no digit first"
	switch {
	case c.Schema != "" && !d.schemas:
		bad("Schema is %.100q, but %s has no schemas: leave it empty", c.Schema, d.name)
	case c.Schema != "" && !identifier.MatchString(c.Schema):
		bad("Schema %.100q is not an identifier: %s", c.Schema, want)
	}
	if c.Partitioned && !d.schemas {
		bad("Partitioned is true, but %s has no partitions: leave it false", d.name)
	}
	if !identifier.MatchString(c.Table) {
		bad("Table %.100q is not an identifier: %s", c.Table, want)
	}
	for i, q := range c.Queues {
		errs = append(errs, name.Check(fmt.Sprintf("Config.Queues[%d]", i), q))
	}
	if c.MaxAttempts < 1 || c.MaxAttempts > 1000 {
		bad("MaxAttempts is %d: want 1 to 1000", c.MaxAttempts)
	}
	if c.MaxPayloadBytes < 1 || c.MaxPayloadBytes > maxPayload {
		bad("MaxPayloadBytes is %d: want 1 to %d", c.MaxPayloadBytes, maxPayload)
	}
	if c.MaxHeaderBytes < 1 || c.MaxHeaderBytes > maxHeaders {
		bad("MaxHeaderBytes is %d: want 1 to %d", c.MaxHeaderBytes, maxHeaders)
	}
	if c.MaxBatchBytes < 1 || c.MaxBatchBytes > maxBatch {
		bad("MaxBatchBytes is %d: want 1 to %d", c.MaxBatchBytes, maxBatch)
	}
	// PostgreSQL is told their sum in milliseconds, as a 32-bit number.
	if c.StatementTimeout < time.Millisecond || c.StatementTimeout > maxTimeout {
		bad("StatementTimeout is %v: want 1ms to %v", c.StatementTimeout, maxTimeout)
	}
	if c.WireTimeout < time.Millisecond || c.WireTimeout > maxTimeout {
		bad("WireTimeout is %v: want 1ms to %v", c.WireTimeout, maxTimeout)
	}
	for _, err := range hook.Check(c.Hooks) {
		bad("%w", err)
	}
	return errors.Join(errs...)
}
