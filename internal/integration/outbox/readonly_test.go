package outbox_test

import (
	"database/sql"
	"testing"
	"time"

	"gorm.io/driver/postgres"
	"gorm.io/gorm"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/internal/testenv"
	"github.com/ackbox/ackbox/outbox"
)

// Sessions that can only read, as those to a primary that has become a standby,
// are thrown away by whatever meets one, all of them at once.
func TestReadOnlySessionsAreThrownAway(t *testing.T) {
	t.Parallel()
	const sessions = 8
	for name, settings := range map[string]string{"prepared": "", "simple": "&default_query_exec_mode=simple_protocol"} {
		db := open(t, postgres.Open(testenv.DatabaseURL(t)+settings), sessions+1, gorm.Config{}) // one is the heartbeat's
		pool, err := db.DB()
		if err != nil {
			t.Fatal(err)
		}
		pool.SetMaxIdleConns(sessions)
		s, err := outbox.NewStore(db, outbox.Config{})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		id := outbox.NewID()
		enqueue := func() error {
			return s.Transaction(t.Context(), func(tx *gorm.DB) error {
				return s.Enqueue(t.Context(), tx, work{1}, outbox.ID(id))
			})
		}
		if err := enqueue(); err != nil {
			t.Fatal(err)
		}
		me := outbox.NewID()
		finish := func(to ackbox.State, text string) func() error {
			return func() error {
				_, err := s.Finish(t.Context(), []core.Transition{{ID: id, Attempt: 1, To: to, Error: text}})
				return err
			}
		}
		for _, path := range []struct {
			name  string
			fails int // how often at most
			call  func() error
		}{
			// These are the application's transactions: they cannot be repeated.
			{"Transaction", 1, func() error { id = outbox.NewID(); return enqueue() }},
			{"Relay", 1, func() error { _, err := s.Relay(t.Context(), core.Claim{Limit: 10}, allSentIn); return err }},
			{"Beat", 0, func() error { _, err := s.Beat(t.Context(), core.Instance{ID: me, Role: core.RoleWorker}); return err }},
			{"Start", 0, func() error { _, err := s.Start(t.Context(), me, []ackbox.Job{{ID: id, Attempt: 1}}); return err }},
			{"Hold", 0, func() error { _, err := s.Hold(t.Context(), me, []core.Holding{{ID: id, Attempt: 1}}); return err }},
			{"Reconcile", 0, func() error { return s.Reconcile(t.Context(), me, nil) }},
			{"Refused", 0, func() error { _, err := s.Refused(t.Context(), me, []string{"default"}, 1); return err }},
			{"TakeBack", 0, func() error { _, err := s.TakeBack(t.Context(), 1); return err }},
			{"Leave", 0, func() error { return s.Leave(t.Context(), me) }},
			{"Finish dead", 0, finish(ackbox.Dead, "e")},
			{"Requeue", 0, func() error { _, err := s.Requeue(t.Context(), id); return err }},
			{"Cancel", 0, func() error { _, err := s.Cancel(t.Context(), id); return err }},
			{"Finish done", 0, finish(ackbox.Done, "")},
			{"Rearm", 0, func() error { _, err := s.Rearm(t.Context(), "default", 1); return err }},
			{"Resend", 0, func() error { _, err := s.Resend(t.Context(), "default", time.Now(), 0, 1); return err }},
			{"Purge", 0, func() error { _, err := s.Purge(t.Context(), "default", 0, 1); return err }},
			{"PurgeInbox", 0, func() error { _, err := s.PurgeInbox(t.Context(), 0, 1); return err }},
			{"PurgeDead", 0, func() error { _, err := s.PurgeDead(t.Context(), 0, 1); return err }},
		} {
			makeReadOnly(t, pool, sessions)
			failed := 0
			for err := path.call(); err != nil; err = path.call() {
				if failed++; failed > path.fails {
					t.Errorf("%s, %s: after %d sessions that can only read: %v", name, path.name, failed, err)
					break
				}
			}
			if n := readOnly(t, pool); n != 0 {
				t.Errorf("%s, %s: %d sessions that can only read are left", name, path.name, n)
			}
		}
	}
}

// makeReadOnly fills the pool with sessions in which nothing can be written.
func makeReadOnly(t *testing.T, pool *sql.DB, sessions int) {
	t.Helper()
	each(t, pool, sessions, func(c *sql.Conn) {
		if _, err := c.ExecContext(t.Context(), "SET default_transaction_read_only = on"); err != nil {
			t.Fatal(err)
		}
	})
	if n := readOnly(t, pool); n != sessions {
		t.Fatalf("%d sessions can only read, want %d", n, sessions)
	}
}

// readOnly counts the idle sessions in which nothing can be written.
func readOnly(t *testing.T, pool *sql.DB) (n int) {
	t.Helper()
	each(t, pool, pool.Stats().Idle, func(c *sql.Conn) {
		var setting string
		if err := c.QueryRowContext(t.Context(), "SHOW transaction_read_only").Scan(&setting); err != nil {
			t.Fatal(err)
		}
		if setting == "on" {
			n++
		}
	})
	return n
}

// each takes so many connections of the pool at once.
func each(t *testing.T, pool *sql.DB, n int, use func(*sql.Conn)) {
	t.Helper()
	for range n {
		c, err := pool.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }() // back to the pool
		use(c)
	}
}
