package storetest

import (
	"errors"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/outbox"
)

func badConfig(e *env) {
	tests := []struct {
		cfg   outbox.Config
		words []string
	}{
		{outbox.Config{Schema: `x"; drop table orders; --`}, []string{"Schema"}},
		{outbox.Config{Table: `x"; drop table orders; --`}, []string{"Config.Table", "identifier"}},
		{outbox.Config{Table: "Jobs"}, []string{"Config.Table"}},
		{outbox.Config{Table: "1jobs"}, []string{"Config.Table"}},
		{outbox.Config{Table: "jobs\n"}, []string{"Config.Table"}},
		{outbox.Config{Table: strings.Repeat("t", 41)}, []string{"Config.Table"}},
		{outbox.Config{Queues: []string{"ok", "not ok"}}, []string{"Config.Queues[1]"}},
		{outbox.Config{Queues: []string{""}}, []string{"Config.Queues[0]"}},
		{outbox.Config{MaxAttempts: -1}, []string{"Config.MaxAttempts", "-1"}},
		{outbox.Config{MaxAttempts: 1001}, []string{"Config.MaxAttempts"}},
		{outbox.Config{MaxPayloadBytes: -1}, []string{"Config.MaxPayloadBytes"}},
		{outbox.Config{MaxHeaderBytes: -1}, []string{"Config.MaxHeaderBytes"}},
		{outbox.Config{StatementTimeout: -time.Second}, []string{"Config.StatementTimeout"}},
		{outbox.Config{WireTimeout: time.Nanosecond}, []string{"Config.WireTimeout"}},
		{outbox.Config{Table: "T", MaxAttempts: -1}, []string{"Config.Table", "Config.MaxAttempts"}},
	}
	if !e.postgres() {
		tests = append(tests, struct {
			cfg   outbox.Config
			words []string
		}{outbox.Config{Schema: "jobs", Partitioned: true}, []string{"Config.Schema", "Config.Partitioned", "sqlite"}})
	}
	for _, tt := range tests {
		_, err := outbox.NewStore(e.db, tt.cfg)
		e.wantError(err, tt.words...)
	}
	for _, db := range []*gorm.DB{nil, {}} {
		_, err := outbox.NewStore(db, outbox.Config{})
		e.wantError(err, "db is nil")
	}
	// What was refused is not bound to db.
	e.enqueue()
	_, err := outbox.NewStore(e.db, e.config())
	e.wantError(err, "already", e.base.Table)
}

// mute is Args of any kind.
type mute struct{ kind string }

// Kind implements ackbox.Args.
func (m mute) Kind() string { return m.kind }

// unencodable cannot be JSON.
type unencodable struct{ C chan int }

// Kind implements ackbox.Args.
func (unencodable) Kind() string { return "unencodable" }

func badInput(e *env) {
	type opt = []outbox.Option
	cfg := e.config()
	cfg.MaxPayloadBytes, cfg.MaxHeaderBytes = 100, 50
	e.newStore(cfg)
	ok := note{"fine"}
	tests := []struct {
		name  string
		args  ackbox.Args
		opts  []outbox.Option
		is    error
		words []string
	}{
		{"nil args", nil, nil, nil, []string{"args are nil"}},
		{"typed nil args", (*note)(nil), nil, nil, []string{"args are nil"}},
		{"empty kind", mute{""}, nil, nil, []string{"Kind()", "empty"}},
		{"bad kind", mute{"no spaces"}, nil, nil, []string{"Kind()"}},
		{"long kind", mute{strings.Repeat("k", 201)}, nil, nil, []string{"Kind()", "201"}},
		{"unencodable", unencodable{}, nil, nil, []string{"encode payload"}},
		{"payload", note{strings.Repeat("x", 100)}, nil, outbox.ErrTooLarge, []string{"payload", "Config.MaxPayloadBytes", "100"}},
		{"queue", ok, opt{outbox.Queue("nowhere")}, outbox.ErrUnknownQueue, []string{"nowhere", "Config.Queues"}},
		{"empty queue", ok, opt{outbox.Queue("")}, outbox.ErrUnknownQueue, nil},
		{"headers", ok, opt{outbox.Header("h", strings.Repeat("x", 50))}, outbox.ErrTooLarge, []string{"headers", "Config.MaxHeaderBytes", "57"}},
		{"reserved header", ok, opt{outbox.Header("X-Ackbox-Attempt", "1")}, nil, []string{"X-Ackbox-Attempt", "reserved"}},
		{"header CC", ok, opt{outbox.Header("CC", "1")}, nil, []string{`header "CC"`, "broker acts"}},
		{"header bcc", ok, opt{outbox.Header("bcc", "1")}, nil, []string{`header "bcc"`, "broker acts"}},
		{"header X-Death", ok, opt{outbox.Header("X-Death", "1")}, nil, []string{`header "X-Death"`, "broker acts"}},
		{"empty header", ok, opt{outbox.Header("", "1")}, nil, []string{"header name"}},
		{"header name UTF-8", ok, opt{outbox.Header("a\xff", "1")}, nil, []string{"header name", "UTF-8"}},
		{"header name NUL", ok, opt{outbox.Header("a\x00", "1")}, nil, []string{"header name"}},
		{"header value UTF-8", ok, opt{outbox.Header("a", "\xff")}, nil, []string{`header "a"`, "UTF-8"}},
		{"header value NUL", ok, opt{outbox.Header("a", "\x00")}, nil, []string{`header "a"`}},
		{"id", ok, opt{outbox.ID("7")}, nil, []string{"ID", "UUID"}},
		{"empty id", ok, opt{outbox.ID("")}, nil, []string{"ID", "UUID"}},
		{"upper-case id", ok, opt{outbox.ID(strings.ToUpper(outbox.NewID()))}, nil, []string{"lower case"}},
		{"no attempts", ok, opt{outbox.MaxAttempts(0)}, nil, []string{"MaxAttempts is 0"}},
		{"too many attempts", ok, opt{outbox.MaxAttempts(1001)}, nil, []string{"MaxAttempts is 1001"}},
		{"negative delay", ok, opt{outbox.Delay(-1)}, nil, []string{"Delay is -1ns"}},
		{"zero time", ok, opt{outbox.At(time.Time{})}, nil, []string{"At is"}},
		{"far time", ok, opt{outbox.At(time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC))}, nil, []string{"At is"}},
		{"delay and at", ok, opt{outbox.Delay(time.Second), outbox.At(time.Now())}, nil, []string{"Delay", "At"}},
		{"nil option", ok, opt{nil}, nil, []string{"option is nil"}},
		{"event and queue", ok, opt{outbox.Event("x", "y"), outbox.Queue("mail")}, nil, []string{"Queue", "Event"}},
		{"event and via", ok, opt{outbox.Event("x", "y"), outbox.Via("x", "y")}, nil, []string{"Via", "Event"}},
		{"event to nobody", ok, opt{outbox.Event("", "")}, nil, []string{"Event", "exchange"}},
		{"via default exchange", ok, opt{outbox.Via("", "mail")}, nil, []string{"default exchange", "mail"}},
		{"long exchange", ok, opt{outbox.Via(strings.Repeat("x", 201), "")}, nil, []string{"exchange"}},
		{"routing key NUL", ok, opt{outbox.Via("x", "\x00")}, nil, []string{"routing key"}},
	}
	for _, tt := range tests {
		err := e.db.Transaction(func(tx *gorm.DB) error {
			err := outbox.EnqueueAll(e.ctx, tx, outbox.Item{Args: ok}, outbox.Item{Args: tt.args, Options: tt.opts})
			e.wantError(err, append(tt.words, "outbox: ", "item 1")...)
			if tt.is != nil && !errors.Is(err, tt.is) {
				e.Errorf("%s: error %v is not %v", tt.name, err, tt.is)
			}
			return nil // the transaction is still good, and nothing was written
		})
		if err != nil {
			e.Errorf("%s: commit: %v", tt.name, err)
		}
	}
	e.wantRows(0, 0)
	e.must(e.db.Transaction(func(tx *gorm.DB) error {
		return outbox.Enqueue(e.ctx, tx, ok, outbox.Via("", "default"), outbox.Header("h", "fits"))
	}))
	e.wantRows(1, 0)
}
