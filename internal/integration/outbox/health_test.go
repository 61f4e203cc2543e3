package outbox_test

import (
	"strings"
	"testing"

	"github.com/glebarez/sqlite"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"

	"github.com/ackbox/ackbox/internal/testenv"
	"github.com/ackbox/ackbox/outbox"
)

func wantHealth(t *testing.T, s *outbox.Store, ready bool, why string) {
	t.Helper()
	h := s.Health(t.Context())
	if h.Part != "store" || !h.Live || h.Ready != ready || (why == "") != (h.Why == "") || !strings.Contains(h.Why, why) {
		t.Errorf("health is %+v, want ready %v, because %q", h, ready, why)
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	url := testenv.DatabaseURL(t)
	for name, db := range map[string]*gorm.DB{
		"postgres": open(t, postgres.Open(url), 2, gorm.Config{}),
		"sqlite":   open(t, sqlite.Open(":memory:"), 1, gorm.Config{}),
	} {
		s, err := outbox.NewStore(db, outbox.Config{})
		if err != nil {
			t.Fatal(err)
		}
		wantHealth(t, s, false, "ackbox_jobs_migrations")
		if err := s.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantHealth(t, s, true, "")
		pool, err := db.DB()
		if err != nil {
			t.Fatal(err)
		}
		if name == "postgres" {
			// Handlers have all of the pool.
			conns := pool.Stats().MaxOpenConnections
			func() {
				for range conns {
					c, err := pool.Conn(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					defer func() { _ = c.Close() }() // back to the pool
				}
				wantHealth(t, s, false, "all 2 connections of the pool are in use")
			}()
			wantHealth(t, s, true, "")
			// As a standby would say.
			standby, err := outbox.NewStore(open(t, postgres.Open(url+"&default_transaction_read_only=on"), 2, gorm.Config{}), outbox.Config{})
			if err != nil {
				t.Fatal(err)
			}
			wantHealth(t, standby, false, "can only be read")
		}
		if err := pool.Close(); err != nil {
			t.Fatal(err)
		}
		wantHealth(t, s, false, "closed")
	}
}
