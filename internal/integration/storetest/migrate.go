package storetest

import (
	"errors"
	"strings"
	"sync"

	"github.com/ackbox/ackbox"
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
	} {
		id := e.enqueue()
		if err := e.db.Exec("UPDATE " + e.table() + " SET " + bad + " WHERE id = '" + id + "'").Error; err == nil {
			e.Errorf("the table took SET %s", bad)
		}
		e.wantState(ackbox.Pending, id)
	}
}
