package outbox_test

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/glebarez/sqlite"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/internal/testenv"
	"github.com/ackbox/ackbox/outbox"
)

// wrapped is somebody else's wrapper around a transaction, as GORM allows.
type wrapped struct {
	*sql.Tx
}

// runningOn makes tx run on that connection, as plugins that split reads from writes
// do.
func runningOn(tx *gorm.DB, pool gorm.ConnPool) *gorm.DB {
	tx = tx.WithContext(tx.Statement.Context) // a Statement of its own
	tx.Statement.ConnPool = pool
	return tx
}

// A job is written into the Store's own ledger or nowhere, whatever the handle
// leads to.
func TestOtherDatabase(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	db, s := store(t, outbox.Config{})
	other := testenv.Postgres(&another{t})
	theirs, err := outbox.NewStore(other, outbox.Config{})
	must(t, err)
	bare := testenv.Postgres(&another{t}) // without tables
	dsn := testenv.DatabaseURL(t)
	second := open(t, postgres.Open(dsn), 2, gorm.Config{PrepareStmt: true}) // another pool of the same database

	item := outbox.Item{Args: work{1}}
	id := outbox.NewID()
	must(t, s.Enqueue(ctx, db, work{0}, outbox.ID(id), outbox.OwnTransaction()))
	entry, err := s.Get(ctx, id)
	must(t, err)
	run := ackbox.WithRun(ctx, ackbox.Run{Job: entry.Job})
	// Each of these through a transaction that begin has begun.
	all := func(begin func() *gorm.DB) map[string]error {
		errs := make(map[string]error)
		for what, call := range map[string]func(tx *gorm.DB) error{
			"Enqueue":     func(tx *gorm.DB) error { return s.Enqueue(ctx, tx, item.Args) },
			"EnqueueAll":  func(tx *gorm.DB) error { return s.EnqueueAll(ctx, tx, item, item) },
			"Own":         func(tx *gorm.DB) error { return s.Enqueue(ctx, tx, item.Args, outbox.OwnTransaction()) },
			"Complete":    func(tx *gorm.DB) error { return s.Complete(run, tx) },
			"EnqueueTx":   func(tx *gorm.DB) error { return s.EnqueueTx(ctx, sqlTx(tx), item) },
			"CompleteTx":  func(tx *gorm.DB) error { return s.CompleteTx(run, sqlTx(tx)) },
			"wrapped":     func(tx *gorm.DB) error { return s.Enqueue(ctx, runningOn(tx, &wrapped{sqlTx(tx)}), item.Args) },
			"new session": func(tx *gorm.DB) error { return s.Enqueue(ctx, tx.Session(&gorm.Session{NewDB: true}), item.Args) },
			"prepared": func(tx *gorm.DB) error {
				return s.Enqueue(ctx, tx.Session(&gorm.Session{PrepareStmt: true}), item.Args)
			},
		} {
			tx := begin()
			must(t, tx.Error)
			errs[what] = call(tx)
			if err := tx.Commit().Error; err != nil && errs[what] == nil {
				errs[what] = err
			}
		}
		return errs
	}
	rows := func(db *gorm.DB) (n int64) {
		t.Helper()
		must(t, db.Raw("SELECT count(*) FROM ackbox_jobs").Scan(&n).Error)
		return n
	}
	for what, err := range all(func() *gorm.DB { return bare.Begin() }) {
		if !errors.Is(err, outbox.ErrOtherDatabase) || !strings.Contains(err.Error(), `no table "public"."ackbox_jobs_migrations"`) {
			t.Errorf("a database without tables, %s: %v", what, err)
		}
	}
	must(t, theirs.Migrate(ctx))
	one, err := s.Identity(ctx)
	must(t, err)
	two, err := theirs.Identity(ctx)
	must(t, err)
	for what, err := range all(func() *gorm.DB { return other.Begin() }) {
		if !errors.Is(err, outbox.ErrOtherDatabase) || !strings.Contains(err.Error(), one) || !strings.Contains(err.Error(), two) {
			t.Errorf("another database, %s: %v", what, err)
		}
	}
	// A plugin resolves the handle of the right database to the wrong pool.
	if err := runningOn(db, pool(t, other)).Transaction(func(tx *gorm.DB) error { return outbox.Enqueue(ctx, tx, item.Args) }); !errors.Is(err, outbox.ErrOtherDatabase) {
		t.Errorf("resolved to another pool: %v", err)
	}
	if err := outbox.Enqueue(ctx, runningOn(db, pool(t, other)), item.Args, outbox.OwnTransaction()); !errors.Is(err, outbox.ErrOtherDatabase) {
		t.Errorf("resolved to another pool, in a transaction of its own: %v", err)
	}
	if n := rows(other); n != 0 {
		t.Errorf("%d jobs were written to the other database", n)
	}
	if n := rows(db); n != 1 {
		t.Errorf("%d jobs were written that were refused", n-1)
	}
	// Another pool of the same database is as good as its own.
	for name, begin := range map[string]func() *gorm.DB{"own pool": func() *gorm.DB { return db.Begin() }, "second pool": func() *gorm.DB { return second.Begin() }} {
		before := rows(db)
		completed := 0
		for what, err := range all(begin) {
			switch {
			case strings.HasPrefix(what, "Complete") && (err == nil || errors.Is(err, outbox.ErrCompleted)):
				if err == nil {
					completed++
				}
			case err != nil:
				t.Errorf("%s, %s: %v", name, what, err)
			}
		}
		if n := rows(db) - before; n != 8 {
			t.Errorf("%s: %d jobs were written, want 8", name, n)
		}
		t.Logf("%s: completed %d", name, completed)
	}
}

// sqlTx is the *sql.Tx of a GORM transaction.
func sqlTx(tx *gorm.DB) *sql.Tx {
	conn := tx.Statement.ConnPool
	if prepared, ok := conn.(*gorm.PreparedStmtTX); ok {
		conn = prepared.Tx
	}
	plain, _ := conn.(*sql.Tx)
	return plain
}

// The same on SQLite, where a transaction has the only connection.
func TestOtherDatabaseSQLite(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	made := func() (*gorm.DB, *outbox.Store) {
		db := open(t, sqlite.Open(":memory:"), 1, gorm.Config{})
		s, err := outbox.NewStore(db, outbox.Config{})
		must(t, err)
		return db, s
	}
	db, s := made()
	must(t, s.Migrate(ctx))
	other, theirs := made()
	refused := func(words ...string) {
		t.Helper()
		err := other.Transaction(func(tx *gorm.DB) error { return s.Enqueue(ctx, tx, work{1}) })
		for _, word := range words {
			if !errors.Is(err, outbox.ErrOtherDatabase) || !strings.Contains(err.Error(), word) {
				t.Errorf("another database: %v; want %q", err, word)
			}
		}
	}
	refused("no table")
	must(t, theirs.Migrate(ctx))
	one, err := s.Identity(ctx)
	must(t, err)
	two, err := theirs.Identity(ctx)
	must(t, err)
	refused(one, two)
	must(t, db.Transaction(func(tx *gorm.DB) error { return s.Enqueue(ctx, runningOn(tx, &wrapped{sqlTx(tx)}), work{1}) }))
	for store, want := range map[*outbox.Store]int{s: 1, theirs: 0} {
		if counts, err := store.Counts(ctx); err != nil || counts[ackbox.Pending] != want {
			t.Errorf("jobs %v, %v; want %d", counts, err, want)
		}
	}
}

// Of a DryRun session nothing is written, so nor is a job; and a Store is made of
// what lives as long as it.
func TestDryRunAndTransactionsAreRefused(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	db, s := store(t, outbox.Config{})
	dry := db.Session(&gorm.Session{DryRun: true})
	if err := dry.Transaction(func(tx *gorm.DB) error { return outbox.Enqueue(ctx, tx, work{1}) }); err == nil || !strings.Contains(err.Error(), "DryRun") {
		t.Errorf("Enqueue in a DryRun: %v", err)
	}
	if err := s.Enqueue(ctx, dry, work{1}, outbox.OwnTransaction()); err == nil || !strings.Contains(err.Error(), "DryRun") {
		t.Errorf("Enqueue with a DryRun's own transaction: %v", err)
	}
	refused := func(what string, db *gorm.DB, word string) {
		t.Helper()
		if _, err := outbox.NewStore(db, outbox.Config{Table: "other_jobs"}); err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("NewStore on %s: %v", what, err)
		}
	}
	refused("a DryRun session", dry, "DryRun")
	for what, change := range map[string]*gorm.Session{"a transaction": {}, "a prepared transaction": {PrepareStmt: true}} {
		tx := db.Begin()
		refused(what, tx.Session(change), "in a transaction")
		must(t, tx.Rollback().Error)
	}
	tx, err := pool(t, db).BeginTx(ctx, nil)
	must(t, err)
	defer func() { _ = tx.Rollback() }()
	opened, err := gorm.Open(postgres.New(postgres.Config{Conn: tx}), &gorm.Config{})
	must(t, err)
	refused("a *sql.Tx", opened, "in a transaction")
	if counts, err := s.Counts(ctx); err != nil || counts[ackbox.Pending] != 0 {
		t.Errorf("jobs %v, %v", counts, err)
	}
}

// A transaction of its own waits for a connection no longer than for a statement.
func TestOwnTransactionWaitsForThePool(t *testing.T) {
	t.Parallel()
	db, s := store(t, outbox.Config{StatementTimeout: 300 * time.Millisecond})
	_, err := s.Identity(t.Context())
	must(t, err)
	p := pool(t, db)
	p.SetMaxOpenConns(1)
	taken, err := p.Conn(t.Context())
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	began := time.Now()
	err = s.Enqueue(ctx, db, work{1}, outbox.OwnTransaction())
	if !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
		t.Errorf("after %v: %v", time.Since(began), err)
	}
	must(t, taken.Close())
	must(t, s.Enqueue(ctx, db, work{1}, outbox.OwnTransaction()))
}

// Whatever the search_path says, the Store's table is that of Config.Schema.
func TestSearchPathChoosesNothing(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	dsn := testenv.DatabaseURL(t)
	db, s := store(t, outbox.Config{})
	must(t, db.Exec(`CREATE SCHEMA app; CREATE TABLE app.ackbox_jobs (LIKE public.ackbox_jobs INCLUDING ALL)`).Error)
	for _, path := range []string{"app", "", "nowhere", "app,public"} {
		elsewhere := open(t, postgres.Open(dsn+"&search_path="+path), 2, gorm.Config{})
		same, err := outbox.NewStore(elsewhere, outbox.Config{})
		must(t, err)
		must(t, same.Migrate(ctx))
		must(t, same.Enqueue(ctx, elsewhere, work{1}, outbox.OwnTransaction()))
		if n, err := same.Relay(ctx, core.Claim{Limit: 10}, allSentIn); n != 1 || err != nil {
			t.Errorf("search_path %q: relayed %d, %v", path, n, err)
		}
	}
	if counts, err := s.Counts(ctx); err != nil || counts[ackbox.Sent] != 4 {
		t.Errorf("the Store has %v, %v; want 4 sent", counts, err)
	}
	// A Store whose schema has no such table says which it is.
	lone := open(t, postgres.Open(dsn), 1, gorm.Config{})
	missing, err := outbox.NewStore(lone, outbox.Config{Schema: "empty"})
	must(t, err)
	if err := missing.Enqueue(ctx, lone, work{1}, outbox.OwnTransaction()); err == nil || !strings.Contains(err.Error(), `Config.Schema, "empty"`) {
		t.Errorf("without its table: %v", err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func pool(t *testing.T, db *gorm.DB) *sql.DB {
	t.Helper()
	p, err := db.DB()
	must(t, err)
	return p
}

// Whose database it is costs no question where the transaction is of the Store's
// own pool, prepared statements or not.
func TestOwnDatabaseIsNotAsked(t *testing.T) {
	t.Parallel()
	db, s, r := recorded(t, outbox.Config{})
	for _, prepare := range []bool{false, true} {
		queries := r.during(func() {
			err := db.Session(&gorm.Session{PrepareStmt: prepare}).Transaction(func(tx *gorm.DB) error {
				return s.Enqueue(t.Context(), tx, work{1})
			})
			must(t, err)
		})
		if len(queries) != 1 {
			t.Errorf("PrepareStmt %v: Enqueue ran %d statements, want its INSERT alone: %v", prepare, len(queries), queries)
		}
	}
}
