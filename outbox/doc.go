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
package outbox
