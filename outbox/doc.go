// Package outbox owns the jobs table and all of its SQL: writing jobs inside
// the caller's transaction, and every later change of a job's row.
//
// It promises:
//
//   - A job is written by [Enqueue] through the caller's own transaction, so it
//     commits or rolls back with the business data. A handle that is not in a
//     transaction is refused with [ErrNotInTransaction].
//   - Every change of a row is guarded by its id, its state and the try it was
//     read at. A late, repeated or concurrent change does no harm.
//   - Times are the database's. The application's clock decides nothing.
//   - No session state: no LISTEN, no session advisory lock, no temporary
//     table. It works behind PgBouncer in transaction mode and with GORM's
//     PrepareStmt on or off.
//   - Every statement runs under a deadline and touches a bounded number of rows.
//
// A [Store] serves all parts of Ackbox: business code (Enqueue, Transaction,
// Complete), the dispatcher (Relay), the worker (Finish, Current, Vouch), the
// sweeps (Rearm, Ages, Resend, Purge) and operators (Get, List, Counts,
// Requeue, Cancel).
//
// PostgreSQL 15 or newer is the database to run on. SQLite is served through
// the same API for one process: the embedded default and users' tests.
//
// # SQLite
//
// A SQLite file has one writer at a time, and a connection that finds another
// one writing fails with SQLITE_BUSY unless it is told to wait. Choose one of:
//
//   - One connection: SetMaxOpenConns(1) on the *sql.DB. Always right, and the
//     only way for a database in memory, but code inside of a transaction must
//     then use the transaction and nothing else: another use of the pool would
//     wait for itself.
//   - Many connections to a file, opened with a busy timeout, in WAL mode, and
//     with transactions that take the write lock when they begin; with
//     github.com/glebarez/sqlite that is
//     "jobs.db?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_txlock=immediate".
//
// Times are text in UTC with milliseconds. There are no row locks, so Relay
// serves one batch at a time for each Store and Finish never answers Busy for
// it; make one Store for one file.
package outbox
