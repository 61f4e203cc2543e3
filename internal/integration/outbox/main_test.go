// Package outbox_test runs the conformance suite of package outbox on
// PostgreSQL and on SQLite, opened in the ways that applications open them.
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
	"github.com/ackbox/ackbox/outbox"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// GORM's cache of prepared statements has a goroutine that nothing ends.
		goleak.IgnoreTopFunction("gorm.io/gorm/internal/lru.NewLRU[...].func1"))
}

// open opens a database and closes it when the test ends.
func open(t *testing.T, dialector gorm.Dialector, connections int, cfg gorm.Config) *gorm.DB {
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
	pool.SetMaxOpenConns(connections)
	t.Cleanup(func() {
		if err := pool.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// onPostgres runs the suite on databases that are opened with settings.
func onPostgres(t *testing.T, settings string, cfg gorm.Config, base outbox.Config) {
	t.Helper()
	d := &databases{t: t}
	storetest.Run(t, func(t *testing.T) *gorm.DB { return open(t, postgres.Open(d.lend(t)+settings), 10, cfg) }, base)
}

func TestPostgres(t *testing.T) {
	t.Parallel()
	onPostgres(t, "", gorm.Config{}, outbox.Config{})
}

// Prepared statements change nothing, and neither does what the session says about time.
func TestPostgresPreparedStatements(t *testing.T) {
	t.Parallel()
	onPostgres(t, "&TimeZone=Asia/Tokyo", gorm.Config{PrepareStmt: true}, outbox.Config{})
}

// Names that must be quoted, one of the longest length, and another session's time.
func TestPostgresSchemaAndTable(t *testing.T) {
	t.Parallel()
	onPostgres(t, "&TimeZone=America/New_York&DateStyle=SQL,DMY&IntervalStyle=sql_standard", gorm.Config{},
		outbox.Config{Schema: "select", Table: "_a2345678901234567890123456789012345678z"})
}

// Five partitions, and jobs in each of them.
func TestPostgresPartitioned(t *testing.T) {
	t.Parallel()
	onPostgres(t, "", gorm.Config{}, outbox.Config{Schema: "app", Partitioned: true})
}

// One connection: the setting that doc.go calls always right.
func TestSQLiteOneConnection(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) *gorm.DB {
		return open(t, sqlite.Open(":memory:"), 1, gorm.Config{})
	}, outbox.Config{})
}

// Many connections, with the settings that doc.go asks for.
func TestSQLiteManyConnections(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) *gorm.DB {
		file := filepath.Join(t.TempDir(), "jobs.db")
		return open(t, sqlite.Open(file+"?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_txlock=immediate"), 10, gorm.Config{PrepareStmt: true})
	}, outbox.Config{Table: "my_jobs"})
}
