package outbox

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"embed"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

//go:embed migrations/*.sql
var migrations embed.FS

// schemaVersion is the newest migration in the migrations folder.
const schemaVersion = 1

// migrateTimeout bounds a whole migration: creating indexes on a filled table
// takes longer than any other statement of the package.
const migrateTimeout = 5 * time.Minute

// Migrate brings the jobs table to the version that this build needs. It is
// idempotent and safe to call from any number of instances at once: they take
// turns under a transaction-level advisory lock. A table that is up to date is
// only read, so an application role without the right to create tables may
// call it, too. A table newer than this build (a rolling deploy) is left alone.
//
// With Config.Partitioned a new table has a default partition and those of
// today and the next [DefaultPartitionsAhead] days. A table that is partitioned
// where Config.Partitioned is false, or the other way round, is an error, and
// nothing is changed.
func (s *Store) Migrate(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, migrateTimeout)
	defer cancel()
	version, err := s.version(ctx, s.pool)
	if err != nil {
		return fmt.Errorf("outbox: read the version of table %s: %w", s.sql.table, s.hint(err))
	}
	if version >= schemaVersion {
		err = s.checkPartitioned(ctx, s.pool)
	} else {
		err = s.alone(ctx, s.migrate)
	}
	if err != nil {
		return err
	}
	_, err = s.Identity(ctx)
	return err
}

// migrate runs the migrations that are missing, alone.
func (s *Store) migrate(ctx context.Context, c conn) error {
	// Another instance may have finished while this one waited.
	version, err := s.version(ctx, c)
	if err != nil {
		return fmt.Errorf("outbox: read the version of table %s: %w", s.sql.table, err)
	}
	if version > 0 {
		if err := s.checkPartitioned(ctx, c); err != nil {
			return err
		}
	}
	if err := s.makeSchema(ctx, c); err != nil {
		return err
	}
	for _, step := range s.migrationsAfter(version) {
		if _, err := c.ExecContext(ctx, step); err != nil {
			return fmt.Errorf("outbox: migrate table %s from version %d: %w", s.sql.table, version, s.hint(err))
		}
	}
	if version == 0 && s.cfg.Partitioned {
		return s.firstPartitions(ctx, c)
	}
	return nil
}

// migrationLock is one for all tables of a database: their migrations may
// create the same schema.
const migrationLock = `SELECT pg_advisory_xact_lock(hashtextextended('ackbox migrate', 0))`

// alone runs migrate in a transaction beside which no other migration runs.
func (s *Store) alone(ctx context.Context, migrate func(context.Context, conn) error) error {
	if !s.d.schemas {
		return s.aloneInFile(ctx, migrate)
	}
	// At READ COMMITTED what the lock was waited for is seen.
	tx, err := s.pool.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
	if err != nil {
		return fmt.Errorf("outbox: migrate: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // after Commit it does nothing
	if _, err := tx.ExecContext(ctx, migrationLock); err != nil {
		return fmt.Errorf("outbox: wait for another instance's migration: %w", err)
	}
	if err := migrate(ctx, tx); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("outbox: commit the migration: %w", err)
	}
	return nil
}

// aloneInFile is alone for SQLite, where a transaction that begins by reading
// may not be allowed to write any more, however long it waits.
func (s *Store) aloneInFile(ctx context.Context, migrate func(context.Context, conn) error) error {
	c, err := s.pool.Conn(ctx)
	if err != nil {
		return fmt.Errorf("outbox: migrate: %w", err)
	}
	defer func() { _ = c.Close() }() // it only goes back to the pool
	if _, err := c.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return fmt.Errorf("outbox: wait for another connection's transaction: %w", err)
	}
	end := "COMMIT"
	if err = migrate(ctx, c); err != nil {
		end = "ROLLBACK"
	}
	if _, endErr := c.ExecContext(context.WithoutCancel(ctx), end); endErr != nil {
		err = errors.Join(err, fmt.Errorf("outbox: %s the migration: %w", strings.ToLower(end), endErr))
		// Back in the pool it would still be in its transaction: drop it.
		_ = c.Raw(func(any) error { return driver.ErrBadConn })
	}
	return err
}

// makeSchema makes the schema if it is missing. CREATE SCHEMA IF NOT EXISTS wants
// the right to make one even if it is there.
func (s *Store) makeSchema(ctx context.Context, c conn) error {
	if !s.d.schemas {
		return nil
	}
	var there bool
	err := c.QueryRowContext(ctx, `SELECT count(*) > 0 FROM pg_catalog.pg_namespace WHERE nspname = $1`, s.cfg.Schema).Scan(&there)
	if err == nil && !there {
		_, err = c.ExecContext(ctx, s.schemaSQL())
	}
	if err != nil {
		return fmt.Errorf("outbox: make schema %q: %w", s.cfg.Schema, s.hint(err))
	}
	return nil
}

func (s *Store) schemaSQL() string { return `CREATE SCHEMA IF NOT EXISTS "` + s.cfg.Schema + `";` }

// hint adds to a refusal what people can do about it.
func (s *Store) hint(err error) error {
	if sqlState(err) == "42501" {
		return fmt.Errorf("this role may not do that in schema %q: let one that may run what Store.MigrationSQL returns and grant what SECURITY.md lists, or name another schema in Config.Schema: %w", s.cfg.Schema, err)
	}
	return err
}

// MigrationSQL returns all migrations of the Store's table as plain SQL, for
// teams that run their own. A table made by it satisfies [Store.Migrate].
func (s *Store) MigrationSQL() string {
	steps := s.migrationsAfter(0)
	if s.d.schemas && s.cfg.Schema != DefaultSchema { // that one is there already
		steps = slices.Insert(steps, 0, s.schemaSQL())
	}
	return "BEGIN;\n" + strings.Join(steps, "\n") + "\nCOMMIT;\n"
}

// migrationsAfter returns the SQL texts of every migration above version.
func (s *Store) migrationsAfter(version int) []string {
	var steps []string
	if version == 0 {
		steps = append(steps, `CREATE TABLE IF NOT EXISTS `+s.versionTable()+` (version int PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP, ledger text);`)
	}
	partitioned := ""
	if s.cfg.Partitioned {
		// A partitioned table has no storage of its own to set parameters for.
		partitioned = " PARTITION BY RANGE (id);\nCREATE TABLE " + s.partition("default") + " PARTITION OF " + s.sql.table + " DEFAULT"
	}
	names := strings.NewReplacer(append(tableNames(s.sql.table), "{table_name}", s.cfg.Table, "{partitioned}", partitioned)...)
	for v := version + 1; v <= schemaVersion; v++ {
		text, err := migrations.ReadFile(fmt.Sprintf("migrations/%s_%d.sql", s.d.name, v))
		if err != nil {
			panic(err) // the files are embedded: only a broken build can lack one
		}
		ledger := "NULL"
		if v == 1 {
			ledger = s.d.newIdentity
		}
		steps = append(steps, names.Replace(string(text)),
			`INSERT INTO `+s.versionTable()+` (version, ledger) VALUES (`+strconv.Itoa(v)+`, `+ledger+`);`)
	}
	return steps
}

func (s *Store) versionTable() string { return versionTable(s.sql.table) }

// sideTables are the tables beside that of the jobs, by the end of their names.
var sideTables = []string{"instances", "inbox", "queues", "stats", "operations"}

// tableNames are the tokens {table}, {instances}, … and what they stand for.
func tableNames(table string) []string {
	names := []string{"{table}", table}
	for _, side := range sideTables {
		names = append(names, "{"+side+"}", strings.TrimSuffix(table, `"`)+"_"+side+`"`)
	}
	return names
}

func versionTable(table string) string {
	return strings.TrimSuffix(table, `"`) + `_migrations"`
}

// version returns the version of the jobs table, 0 where there is none.
func (s *Store) version(ctx context.Context, q conn) (int, error) {
	var there bool
	// to_regclass would not do: it may answer from the session's cache, which
	// waiting for an advisory lock does not refresh. Reading the catalog does.
	exists := `SELECT count(*) > 0 FROM pg_catalog.pg_tables WHERE schemaname = $1 AND tablename = $2`
	args := []any{s.cfg.Schema, s.cfg.Table + "_migrations"}
	if !s.d.schemas {
		exists = `SELECT count(*) > 0 FROM sqlite_master WHERE type = 'table' AND name = ?`
		args = args[1:]
	}
	if err := q.QueryRowContext(ctx, exists, args...).Scan(&there); err != nil || !there {
		return 0, err
	}
	var version sql.NullInt64
	err := q.QueryRowContext(ctx, `SELECT max(version) FROM `+s.versionTable()).Scan(&version)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return int(version.Int64), err
}
