package security_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/dispatcher"
	"github.com/ackbox/ackbox/handler"
	"github.com/ackbox/ackbox/internal/testenv"
	"github.com/ackbox/ackbox/memory"
	"github.com/ackbox/ackbox/outbox"
	"github.com/ackbox/ackbox/retry"
	"github.com/ackbox/ackbox/worker"
)

// canary is in every payload and every header's value below.
const canary = "canary-4929-payload"

// letter is what is enqueued: a payload of any shape, for a handler that may
// expect another.
type letter struct {
	kind string
	body any
}

// Kind implements ackbox.Args.
func (l letter) Kind() string { return l.kind }

// MarshalJSON implements json.Marshaler.
func (l letter) MarshalJSON() ([]byte, error) { return json.Marshal(l.body) }

// The arguments that the handlers expect.
type (
	failing   struct{ Text string }
	panicking struct{ Text string }
	number    struct{ Text int }
	nested    struct{ Deep []map[string]number }
	dated     struct{ Text time.Time }
	quoted    struct {
		Text int `json:",string"`
	}
	keyed       map[int]string
	blunt       struct{}
	pretentious struct{}
)

func (failing) Kind() string     { return "failing" }
func (panicking) Kind() string   { return "panicking" }
func (number) Kind() string      { return "number" }
func (nested) Kind() string      { return "nested" }
func (dated) Kind() string       { return "dated" }
func (quoted) Kind() string      { return "quoted" }
func (keyed) Kind() string       { return "keyed" }
func (blunt) Kind() string       { return "blunt" }
func (pretentious) Kind() string { return "pretentious" }

// UnmarshalJSON refuses with an error that repeats everything.
func (*blunt) UnmarshalJSON(b []byte) error { return fmt.Errorf("what is %s", b) }

// UnmarshalJSON refuses with an error of package json that repeats everything.
func (*pretentious) UnmarshalJSON(b []byte) error {
	return &json.UnmarshalTypeError{Value: strings.Trim(string(b), `{":}`), Field: string(b)}
}

// typed is a handler that does what its arguments are made for.
type typed[A ackbox.Args] struct{ do func() error }

// Consume implements handler.Typed.
func (h typed[A]) Consume(context.Context, handler.Job[A]) error { return h.do() }

// FailAction implements handler.Typed.
func (typed[A]) FailAction(context.Context, handler.Job[A], error) error {
	return errors.New("it is not to be mended")
}

func register[A ackbox.Args](reg *handler.Registry, do func() error) {
	handler.Register(reg, typed[A]{do})
}

// Nothing of Ackbox logs a payload or a header's value, at any level, or keeps
// one in the errors of a row, however the job ends.
func TestPayloadsAreNotLogged(t *testing.T) {
	t.Parallel()
	ctx := patient(t)
	var out log
	db := testenv.Postgres(t)
	store, err := outbox.NewStore(db, outbox.Config{MaxPayloadBytes: 10_000, MaxHeaderBytes: 1000})
	must(t, "NewStore", err)
	must(t, "Migrate", store.Migrate(ctx))
	broker, err := memory.New(memory.Config{MaxMessageBytes: 5000, RetryLadder: []time.Duration{time.Millisecond}})
	must(t, "memory.New", err)
	t.Cleanup(func() { _ = broker.Close() })

	reg := handler.NewRegistry()
	reg.Use(handler.Log(out.logger()))
	register[failing](reg, func() error { return errors.New("out of order") })
	register[panicking](reg, func() error { panic("out of order") })
	undecodable := func() error { t.Error("a payload was decoded that cannot be"); return nil }
	register[number](reg, undecodable)
	register[nested](reg, undecodable)
	register[dated](reg, undecodable)
	register[quoted](reg, undecodable)
	register[keyed](reg, undecodable)
	register[blunt](reg, undecodable)
	register[pretentious](reg, undecodable)

	quick, err := retry.Fixed(time.Millisecond)
	must(t, "Fixed", err)
	d, err := dispatcher.New(store, broker, dispatcher.Config{Backoff: quick, RefusalLimit: time.Millisecond, Logger: out.logger()})
	must(t, "dispatcher.New", err)
	w, err := worker.New(store, broker, reg, worker.Config{Backoff: quick, FailActionAttempts: 2, MaxAttempts: 2, Logger: out.logger()})
	must(t, "worker.New", err)
	s, err := retry.NewSweeper(store, broker, retry.Config{Rearm: "@every 1s", Logger: out.logger()})
	must(t, "NewSweeper", err)

	words := map[string]any{"Text": canary}
	letters := []letter{
		{"failing", words},
		{"panicking", words},
		{"number", words},
		{"dated", words},
		{"quoted", words},
		{"blunt", words},
		{"pretentious", words},
		{"nested", map[string]any{"Deep": []any{map[string]any{canary: words}}}},
		{"keyed", map[string]any{canary: ""}},
		{"number", canary},
		{"number", []string{canary}},
		{"failing", strings.Repeat(canary, 300)}, // too large for the broker
	}
	var ids []string
	// What passes through GORM is in GORM's log; ours does not.
	loud := logger.New(slog.NewLogLogger(out.logger().Handler(), slog.LevelDebug), logger.Config{LogLevel: logger.Info})
	must(t, "enqueue", db.Session(&gorm.Session{Logger: loud}).Transaction(func(tx *gorm.DB) error {
		for _, l := range letters {
			id := outbox.NewID()
			ids = append(ids, id)
			if err := outbox.Enqueue(ctx, tx, l, outbox.ID(id), outbox.MaxAttempts(2), outbox.Header("h", canary)); err != nil {
				return err
			}
		}
		return nil
	}))
	t.Run("Loops", func(t *testing.T) {
		background(t, d.Run, w.Run, s.Run)
		// The same letters from another service, straight to the queue.
		for _, l := range letters[:len(letters)-1] {
			payload, err := json.Marshal(l)
			must(t, "encode", err)
			broker.Publish(ctx, []ackbox.Job{{
				ID: outbox.NewID(), Kind: l.kind, RoutingKey: ackbox.DefaultQueue, Payload: payload, Headers: map[string]string{"h": canary},
			}})
		}
		// One of a kind that nobody knows waits, which is logged once.
		broker.Publish(ctx, []ackbox.Job{{ID: outbox.NewID(), Kind: "unknown", RoutingKey: ackbox.DefaultQueue, Payload: []byte(canary)}})
		eventually(t, "all are dead", func() bool {
			counts, err := store.Counts(ctx)
			must(t, "Counts", err)
			return counts[ackbox.Dead] == len(letters) && w.Stats().Dead == int64(2*len(letters)-1) && w.Stats().UnknownKind > 0
		})
	})
	lacks(t, "the log", out.String(), canary)
	if n := strings.Count(out.String(), "level="); n < 4*len(letters) {
		t.Errorf("only %d lines are logged:\n%s", n, out.String())
	}
	for _, id := range ids {
		entry, err := store.Get(ctx, id)
		must(t, "Get", err)
		if entry.LastError == "" || !strings.Contains(string(entry.Payload), canary) {
			t.Errorf("%s: last error %q, payload %s", entry.Kind, entry.LastError, entry.Payload)
		}
		lacks(t, "the row of "+entry.Kind, fmt.Sprint(entry.LastError, entry.History), canary)
	}
	// What Enqueue refuses it does not repeat either.
	for what, opts := range map[string][]outbox.Option{
		"payload": nil, "headers": {outbox.Header("h", strings.Repeat(canary, 100))}, "value": {outbox.Header("h", canary+"\x00")},
	} {
		l := letter{"failing", canary}
		if what == "payload" {
			l.body = strings.Repeat(canary, 1000)
		}
		err := store.Enqueue(ctx, db, l, append(opts, outbox.OwnTransaction())...)
		wantError(t, err, what)
		lacks(t, "Enqueue's error", fmt.Sprint(err), canary)
	}
}
