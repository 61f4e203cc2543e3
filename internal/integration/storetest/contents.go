package storetest

import (
	"context"
	"errors"
	"maps"
	"time"

	"gorm.io/gorm"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/outbox"
)

func roundTrip(e *env) {
	e.store()
	text := "<ü> \u2028 \x00 ' \" $1 ? {now}"
	headers := map[string]string{"traceparent": "00-ab-cd-01", "Größe": "'; DROP TABLE orders; --", "empty": "", "q?": "$1 ? {now} \\"}
	id := outbox.NewID()
	opts := []outbox.Option{outbox.ID(id), outbox.Queue("mail"), outbox.MaxAttempts(3), outbox.Via("shop", "mail.*")}
	for name, value := range headers {
		opts = append(opts, outbox.Header(name, value))
	}
	before := time.Now().Add(-time.Minute)
	e.must(e.db.Transaction(func(tx *gorm.DB) error { return outbox.Enqueue(e.ctx, tx, note{text}, opts...) }))

	var got ackbox.Job
	e.relay(10, func(job ackbox.Job) core.Transition { got = job; return acked(job) })
	for _, job := range []ackbox.Job{got, e.get(id).Job} {
		if job.ID != id || job.Kind != "note" || job.Queue != "mail" || job.Exchange != "shop" || job.RoutingKey != "mail.*" ||
			!job.Mandatory || job.Attempt != 1 || job.MaxAttempts != 3 || job.Resend != 0 || job.PublishAttempt != 0 || job.Ledger != e.identity() {
			e.Errorf("job %+v", job)
		}
		if string(job.Payload) != `{"text":"\u003cü\u003e \u2028 \u0000 ' \" $1 ? {now}"}` {
			e.Errorf("payload %s", job.Payload)
		}
		if !maps.Equal(job.Headers, headers) {
			e.Errorf("headers %q", job.Headers)
		}
		if job.CreatedAt.Before(before) || job.CreatedAt.After(time.Now().Add(time.Minute)) || job.CreatedAt.Location() != time.UTC {
			e.Errorf("created at %v", job.CreatedAt)
		}
	}
	plain := e.get(e.enqueue())
	if plain.Queue != "default" || plain.Exchange != "" || plain.RoutingKey != "default" || plain.MaxAttempts != outbox.DefaultMaxAttempts || len(plain.Headers) != 0 {
		e.Errorf("defaults %+v", plain)
	}
}

type traceKey struct{}

func headersFrom(e *env) {
	cfg := e.config()
	cfg.HeadersFrom = func(ctx context.Context, _ ackbox.Job) map[string]string {
		trace, _ := ctx.Value(traceKey{}).(string)
		return map[string]string{"traceparent": trace, "tenant": "context"}
	}
	e.newStore(cfg)
	e.ctx = context.WithValue(e.ctx, traceKey{}, "00-ab")
	id := e.enqueue(outbox.Header("tenant", "option"))
	if got := e.get(id).Headers; !maps.Equal(got, map[string]string{"traceparent": "00-ab", "tenant": "option"}) {
		e.Errorf("headers %q", got)
	}
}

func wake(e *env) {
	s := e.store()
	woken := func() bool {
		select {
		case <-s.Wake():
			return true
		default:
			return false
		}
	}
	e.enqueue(outbox.Delay(time.Hour))
	if woken() {
		e.Error("woken for a job that is not due")
	}
	e.enqueue()
	e.enqueue()
	if !woken() || woken() {
		e.Error("two jobs gave no signal, or more than one")
	}
	e.must(s.Transaction(e.ctx, func(tx *gorm.DB) error {
		e.must(outbox.Enqueue(e.ctx, tx, note{}))
		woken() // as a dispatcher that looks before the commit
		return nil
	}))
	if !woken() {
		e.Error("no signal after the commit")
	}
	if err := s.Transaction(e.ctx, func(*gorm.DB) error { return errChangedMind }); !errors.Is(err, errChangedMind) || woken() {
		e.Errorf("a rolled back transaction: %v", err)
	}
	e.must(outbox.Enqueue(e.ctx, e.db, note{}, outbox.OwnTransaction()))
	if !woken() {
		e.Error("no signal after a transaction of its own")
	}
}
