package outbox

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/name"
)

// NewID returns a new job id: a UUID version 7, which sorts by time, so that
// new rows land at the right end of the primary key's index.
func NewID() string { return uuid.Must(uuid.NewV7()).String() }

// draft applies the options to args and checks the result: everything that can
// be wrong with a job is found here, before it is written.
func (s *Store) draft(ctx context.Context, args ackbox.Args, opts []Option) (*draft, error) {
	if v := reflect.ValueOf(args); args == nil || v.Kind() == reflect.Pointer && v.IsNil() {
		return nil, errors.New("outbox: args are nil: pass a value with a Kind")
	}
	d := &draft{job: ackbox.Job{Kind: args.Kind()}}
	if err := name.Check("Kind()", d.job.Kind); err != nil {
		return nil, fmt.Errorf("outbox: args %T: %w", args, err)
	}
	fail := func(err error) (*draft, error) {
		return nil, fmt.Errorf("outbox: enqueue %s: %w", d.job.Kind, err)
	}
	for _, opt := range opts {
		if opt == nil {
			return fail(errors.New("an option is nil"))
		}
		opt(d)
	}
	if err := errors.Join(d.errs...); err != nil {
		return fail(err)
	}
	payload, err := json.Marshal(args)
	if err != nil {
		return fail(fmt.Errorf("encode payload: %w", err))
	}
	d.job.Payload = payload
	if len(payload) > s.cfg.MaxPayloadBytes {
		return fail(fmt.Errorf("%w: payload is %d bytes, Config.MaxPayloadBytes allows %d", ErrTooLarge, len(payload), s.cfg.MaxPayloadBytes))
	}
	d.job.ID = cmp.Or(d.job.ID, NewID())
	if err := s.addContextHeaders(ctx, d); err != nil {
		return fail(err)
	}
	if err := s.route(d); err != nil {
		return fail(err)
	}
	d.job.MaxAttempts = cmp.Or(d.job.MaxAttempts, s.cfg.MaxAttempts)
	if d.delay > 0 && !d.at.IsZero() {
		return fail(errors.New("both Delay and At are given: want one"))
	}
	return d, nil
}

// route fills in where the job is published.
func (s *Store) route(d *draft) error {
	j := &d.job
	if len(j.Exchange) > name.MaxLen || len(j.RoutingKey) > name.MaxLen || !plain(j.Exchange) || !plain(j.RoutingKey) {
		return fmt.Errorf("exchange %.100q, routing key %.100q: want at most %d bytes of valid UTF-8 without NUL each", j.Exchange, j.RoutingKey, name.MaxLen)
	}
	if d.event {
		switch {
		case d.via:
			return errors.New("both Via and Event are given: want one")
		case j.Queue != "":
			return errors.New("both Queue and Event are given: an event has no work queue here")
		case j.Exchange == "" && j.RoutingKey == "":
			return errors.New("Event names neither exchange nor routing key: nothing could receive it")
		}
		return nil
	}
	if j.Queue == "" {
		j.Queue = s.cfg.Queues[0]
	}
	if !slices.Contains(s.cfg.Queues, j.Queue) {
		return fmt.Errorf("%w %.100q: Config.Queues has %q", ErrUnknownQueue, j.Queue, s.cfg.Queues)
	}
	if j.Exchange == "" && j.RoutingKey == "" {
		j.RoutingKey = j.Queue
	}
	if j.Exchange == "" && j.RoutingKey != j.Queue {
		return fmt.Errorf("the default exchange routes %.100q to the queue of that name, but the job is for queue %q", j.RoutingKey, j.Queue)
	}
	j.Mandatory = true
	return nil
}

func (s *Store) addContextHeaders(ctx context.Context, d *draft) error {
	if s.cfg.HeadersFrom != nil {
		headers := maps.Clone(s.cfg.HeadersFrom(ctx))
		if headers == nil {
			headers = make(map[string]string)
		}
		maps.Copy(headers, d.job.Headers)
		d.job.Headers = headers
	}
	size := 0
	for header, value := range d.job.Headers {
		size += len(header) + len(value) + headerOverhead
		switch {
		case header == "" || len(header) > name.MaxLen || !plain(header):
			return fmt.Errorf("header name %.100q: want 1 to %d bytes of valid UTF-8 without NUL", header, name.MaxLen)
		case strings.HasPrefix(strings.ToLower(header), ackbox.HeaderPrefix):
			return fmt.Errorf("header %.100q: names that start with %q are reserved", header, ackbox.HeaderPrefix)
		case actedOn(header):
			return fmt.Errorf("header %.100q: the broker acts on headers of this name, in whatever case, and would refuse the message and its neighbours with it, or keep it from the handler: choose another", header)
		case !plain(value):
			return fmt.Errorf("header %.100q: its value is not valid UTF-8, or has a NUL byte", header)
		}
	}
	if size > s.cfg.MaxHeaderBytes {
		return fmt.Errorf("%w: headers are %d bytes (names, values and %d for each), Config.MaxHeaderBytes allows %d", ErrTooLarge, size, headerOverhead, s.cfg.MaxHeaderBytes)
	}
	return nil
}

// headerOverhead is what a header takes on the wire beside its name and its value.
const headerOverhead = 6

// actedOn reports whether RabbitMQ does something of its own with headers of that
// name. CC and BCC are lists of further routing keys: a text there closes the
// channel, and with it go all that were published by it and are not confirmed yet.
// The others are the broker's notes about a message's way, which a worker leaves out.
func actedOn(name string) bool {
	switch name = strings.ToLower(name); name {
	case "cc", "bcc", "x-death", "x-delivery-count", "x-acquired-count":
		return true
	}
	return strings.HasPrefix(name, "x-first-death-") || strings.HasPrefix(name, "x-last-death-")
}

// values are the parameters of one row of the INSERT.
func (d *draft) values(dia *dialect) ([]any, error) {
	var headers, at any
	if len(d.job.Headers) > 0 {
		encoded, err := json.Marshal(d.job.Headers)
		if err != nil {
			return nil, fmt.Errorf("outbox: encode headers: %w", err)
		}
		headers = string(encoded)
	}
	if !d.at.IsZero() {
		at = dia.timeParam(d.at)
	}
	j := d.job
	return []any{
		j.ID, j.Kind, j.Queue, j.Exchange, j.RoutingKey, j.Mandatory,
		j.Payload, headers, j.MaxAttempts, at, millis(d.delay),
	}, nil
}

// due reports whether the job can be published as soon as it is committed.
func (d *draft) due() bool {
	return d.delay == 0 && d.at.IsZero()
}

// plain reports whether PostgreSQL's text can hold s.
func plain(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsRune(s, 0)
}

// validID reports whether id is a UUID in canonical form. Ids that come back
// from a broker are checked by it, too: a foreign message must not be able to
// fail a statement that serves its neighbours.
func validID(id string) bool {
	parsed, err := uuid.Parse(id)
	return err == nil && parsed.String() == id
}

// maxErrorBytes bounds each error text that a row keeps.
const maxErrorBytes = 2000

// errorText makes s fit for a row: valid UTF-8, no NUL, of bounded length.
func errorText(s string) string {
	cut := len(s) > maxErrorBytes
	if cut {
		s = s[:maxErrorBytes]
	}
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
	if len(s) > maxErrorBytes { // what was replaced has grown
		cut = true
		end := maxErrorBytes
		for !utf8.RuneStart(s[end]) {
			end--
		}
		s = s[:end]
	}
	if cut {
		s += "…"
	}
	return s
}
