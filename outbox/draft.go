package outbox

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/name"
)

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
	d.job.Attempt = 1
	d.job.MaxAttempts = cmp.Or(d.job.MaxAttempts, s.cfg.MaxAttempts)
	if err := s.route(d); err != nil {
		return fail(err)
	}
	if err := s.addContextHeaders(ctx, d); err != nil {
		return fail(err)
	}
	if d.delay > 0 && !d.at.IsZero() {
		return fail(errors.New("both Delay and At are given: want one"))
	}
	return d, nil
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
		j.Payload, headers, j.MaxAttempts, at, millis(d.delay), j.Key,
	}, nil
}

// due reports whether the job can be published as soon as it is committed.
func (d *draft) due() bool {
	return d.delay == 0 && d.at.IsZero()
}
