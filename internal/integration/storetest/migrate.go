package storetest

import (
	"errors"
	"strings"
	"sync"

	"gorm.io/gorm"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/outbox"
)

func migrateTwice(e *env) {
	id := e.enqueue()
	for range 2 {
		e.must(e.store().Migrate(e.ctx))
	}
	e.wantState(ackbox.Pending, id)
}

func migrateAtOnce(e *env) {
	s, err := outbox.NewStore(e.db, e.config())
	e.must(err)
	errs := make([]error, 8)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { errs[i] = s.Migrate(e.ctx) })
	}
	wg.Wait()
	e.must(errors.Join(errs...))
	e.made = s
	if n := e.rows(strings.TrimSuffix(e.table(), `"`) + `_migrations"`); n != 1 {
		e.Errorf("%d versions were recorded, want 1", n)
	}
	e.enqueueAs(ackbox.Sent)
}

func migrateByHand(e *env) {
	s, err := outbox.NewStore(e.db, e.config())
	e.must(err)
	text := s.MigrationSQL()
	pool, err := e.db.DB()
	e.must(err)
	_, err = pool.ExecContext(e.ctx, text)
	e.must(err)
	before := e.rows(strings.TrimSuffix(e.table(), `"`) + `_migrations"`)
	e.must(s.Migrate(e.ctx))
	if after := e.rows(strings.TrimSuffix(e.table(), `"`) + `_migrations"`); after != before {
		e.Errorf("Migrate added %d versions to a table made by MigrationSQL", after-before)
	}
	if strings.Contains(text, "{table") {
		e.Errorf("a token was left in MigrationSQL:\n%s", text)
	}
	e.made = s
	e.makeOrders()
	e.enqueue()
}

// A migration that cannot be carried out leaves nothing behind and can be
// tried again.
func migrateRefused(e *env) {
	s, err := outbox.NewStore(e.db, e.config())
	e.must(err)
	if e.base.Schema != "" {
		e.exec(`CREATE SCHEMA "` + e.base.Schema + `"`)
	}
	e.exec("CREATE TABLE " + e.table() + " (id int)") // somebody else's
	e.wantError(s.Migrate(e.ctx), "migrate table", "already exists")
	e.exec("DROP TABLE " + e.table())
	e.must(s.Migrate(e.ctx))
}

func checkRefusesImpossibleRows(e *env) {
	now := e.at(0)
	for _, bad := range []string{
		"state = 'lost'",
		"state = ''",
		"finished_at = " + now, // still pending
		"state = 'nacked', finished_at = " + now,
		"state = 'sent'",
		"state = 'sent', sent_at = " + now,
		"state = 'sent', sent_at = " + now + ", seen_at = " + now + ", finished_at = " + now,
		"state = 'sent', sent_at = " + now + ", seen_at = " + now + ", queue = ''",
		"state = 'done', finished_at = " + now,
		"state = 'done', sent_at = " + now,
		"state = 'dead'",
		"state = 'cancelled'",
		"attempt = 0",
		"max_attempts = 0",
		"kind = ''",
		"publish_attempt = -1",
		"resend = -1",
		"history = '{}'",
		"history = '7'",
		"headers = '[]'",
		"headers = 'null'",
		"due_at = " + e.impossibleTime(),
		"created_at = " + e.impossibleTime(),
		"seen_at = " + e.impossibleTime(),
	} {
		id := e.enqueue()
		if err := e.db.Exec("UPDATE " + e.table() + " SET " + bad + " WHERE id = '" + id + "'").Error; err == nil {
			e.Errorf("the table took SET %s", bad)
		}
		e.wantState(ackbox.Pending, id)
	}
}

// Each table is a ledger with an identity of its own, which stays what it is and
// stands on its jobs.
func identities(e *env) {
	first := e.store()
	cfg := e.config()
	cfg.Table = "other_jobs"
	second, err := outbox.NewStore(e.db, cfg)
	e.must(err)
	if id, err := second.Identity(e.ctx); err == nil {
		e.Errorf("a table that is not there is ledger %q", id)
	}
	e.must(second.Migrate(e.ctx))
	one := e.identity()
	other, err := second.Identity(e.ctx)
	e.must(err)
	if one == other || len(one) != 12 || len(other) != 12 {
		e.Errorf("identities %q and %q", one, other)
	}
	var kept string
	e.must(e.db.Raw("SELECT ledger FROM " + strings.TrimSuffix(e.table(), `"`) + `_migrations" WHERE version = 1`).Scan(&kept).Error)
	e.must(first.Migrate(e.ctx))
	if kept != one || e.identity() != one {
		e.Errorf("the identity was %q, is %q, and %q in its table", one, e.identity(), kept)
	}
	// A job of one ledger is not completed in another, which may have one of the
	// same id.
	id := e.newID()
	e.must(e.db.Transaction(func(tx *gorm.DB) error {
		return errors.Join(first.Enqueue(e.ctx, tx, note{}, outbox.ID(id)), second.Enqueue(e.ctx, tx, note{}, outbox.ID(id)))
	}))
	job := e.get(id).Job
	run := ackbox.WithRun(e.ctx, ackbox.Run{Job: job})
	e.wantError(e.db.Transaction(func(tx *gorm.DB) error { return second.Complete(run, tx) }), one, other, id)
	e.must(e.db.Transaction(func(tx *gorm.DB) error { return first.Complete(run, tx) }))
	if entry, err := second.Get(e.ctx, id); err != nil || entry.State != ackbox.Pending || entry.Ledger != other {
		e.Errorf("the other ledger's job is %+v, %v", entry, err)
	}
}

// impossibleTime is an SQL literal that is no time that a program could read.
func (e *env) impossibleTime() string {
	if e.postgres() {
		return "'-infinity'"
	}
	return "'yesterday'"
}

// What somebody has edited by hand, as far as the table takes it, hides no
// neighbour and fails nothing.
func editedRows(e *env) {
	good, bad := e.enqueue(), e.enqueue(outbox.Header("a", "1"))
	e.set(bad, `history = '[7]', headers = '{"a": 1, "b": "2"}'`)
	page, err := e.store().List(e.ctx, outbox.Filter{}, "", 100)
	e.must(err)
	entries := page.Entries
	if len(entries) != 2 || entries[0].ID != bad || len(entries[0].History) != 1 || !strings.Contains(entries[0].History[0].Error, "cannot be read") || entries[1].ID != good {
		e.Errorf("listed %+v", entries)
	}
	if got := e.get(bad); got.Headers["b"] != "2" || len(got.History) != 1 {
		e.Errorf("got %+v", got)
	}
	if claimed := e.relay(10, acked); len(claimed) != 2 {
		e.Errorf("claimed %v, want both", claimed)
	}
	e.wantVerdicts(e.finish(
		core.Transition{ID: good, Attempt: 1, To: ackbox.Dead, Error: "one"},
		core.Transition{ID: bad, Attempt: 1, To: ackbox.Dead, Error: "other"},
	), core.Recorded, core.Recorded)
}
