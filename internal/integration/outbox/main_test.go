// Package outbox_test runs package outbox against real databases: the
// conformance suite on PostgreSQL, in several configurations, and on SQLite,
// and what only PostgreSQL can do.
package outbox_test

import (
	"path/filepath"
	"testing"

	"github.com/glebarez/sqlite"
	"go.uber.org/goleak"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/ackbox/ackbox/internal/integration/storetest"
	"github.com/ackbox/ackbox/internal/testenv"
	"github.com/ackbox/ackbox/outbox"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, dialector gorm.Dialector, cfg gorm.Config) *gorm.DB {
	t.Helper()
	cfg.Logger = logger.Discard
	db, err := gorm.Open(dialector, &cfg)
	if err != nil {
		t.Fatal(err)
	}
	pool, err := db.DB()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pool.Close() })
	return db
}

func TestPostgres(t *testing.T) {
	for name, variant := range map[string]struct {
		params   string
		simple   bool
		prepared bool
		config   outbox.Config
	}{
		"default":           {},
		"PrepareStmt":       {prepared: true},
		"simple protocol":   {simple: true}, // as behind PgBouncer in transaction mode
		"schema and table":  {config: outbox.Config{Schema: "jobs_of_app", Table: "ledger"}},
		"time zone in Asia": {params: "&timezone=Asia/Tokyo"},
		"time zone in USA":  {params: "&timezone=America/New_York", prepared: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.Run(t, func(t *testing.T) (*gorm.DB, outbox.Config) {
				dialector := postgres.New(postgres.Config{DSN: testenv.DatabaseURL(t) + variant.params, PreferSimpleProtocol: variant.simple})
				return open(t, dialector, gorm.Config{PrepareStmt: variant.prepared}), variant.config
			})
		})
	}
}

func TestSQLite(t *testing.T) {
	for name, prepared := range map[string]bool{"default": false, "PrepareStmt": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.Run(t, func(t *testing.T) (*gorm.DB, outbox.Config) {
				db := open(t, sqlite.Open(filepath.Join(t.TempDir(), "jobs.db")), gorm.Config{PrepareStmt: prepared})
				pool, err := db.DB()
				if err != nil {
					t.Fatal(err)
				}
				pool.SetMaxOpenConns(1)
				return db, outbox.Config{}
			})
		})
	}
}
