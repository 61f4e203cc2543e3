// Package outbox owns the jobs table and all of its SQL: writing jobs inside
// the caller's transaction, and every later change of a job's row.
//
// It promises:
//
//   - A job is written by [Enqueue] through the caller's own transaction, so it
//     commits or rolls back with the business data. A handle that is not in a
//     transaction is refused with [ErrNotInTransaction].
//   - A transaction of another database is refused with [ErrOtherDatabase]. No
//     search_path leads to another table than Config.Schema's.
//   - Every change of a row is guarded by its id, its state and the try it was
//     read at. A late, repeated or concurrent change does no harm.
//   - Times are the database's. The application's clock decides nothing.
//   - No session state: no LISTEN, no session advisory lock, no temporary
//     table. It works with GORM's PrepareStmt on or off and, with the settings
//     below, behind PgBouncer in transaction mode.
//   - Every statement runs under a deadline and touches a bounded number of rows.
//   - A job that is known to run in a live process is not started in another; see
//     "Who has a job in hand" below.
//   - The effect of a message without a row, which somebody else has published, happens
//     once, too, where its handler calls Complete; see "Messages without a row" below.
//   - A queue's backlog, however long, never delays the jobs of another: each queue
//     that has due jobs has its share of every batch.
//
// A [Store] serves all parts of Ackbox: business code (Enqueue, Transaction,
// Complete), the dispatcher (Relay), the worker (Beat, Start, Hold, Reconcile, Refused,
// Finish, Leave), the sweeps (Rearm, TakeBack, Ages, Resend, Unattended, Purge,
// PurgeInbox, MakePartitions, DropPartitions) and operators (Get, List, Counts, Requeue, Cancel).
//
// PostgreSQL 15 or newer is the database to run on. SQLite is served through
// the same API for one process: the embedded default and users' tests.
//
// # Who has a job in hand
//
// A job that is done within a second leaves no trace of where it was. Of any other its
// row says which instance has it: holder (a worker's Run draws a UUID), started_at once
// it runs, and starts, how often its present try was started without an outcome. That is
// written once; from then on it is the instance that says every 3 s that it is alive, in
// the table <table>_instances. One that was silent for 15 s is dead, if another one was
// not silent meanwhile: an outage of the database kills nobody. What a dead instance was
// running is due again within 20 s or so, in all (retry.Sweeper sees to it).
//
//   - What runs in a living instance is started in no other, neither sent again by a
//     sweep or a claim, and none but that instance says how it ended; only for being
//     done it does not matter who says so first.
//   - A start is counted when it happens. One whose handler answered, or that was ended
//     by a graceful stop, does not stay counted.
//   - Of two copies of a try only the newer one is started; if the older one runs on
//     record, it is that one.
//
// Not covered is what cannot be: a job is on record a second after it was taken, unless
// it was asked for (a redelivery, a retry), and an instance that was frozen for longer
// than 15 s may still be running what others were given. attempt guards the outcomes.
//
// # Messages without a row
//
// What somebody else publishes to a work queue has no row here, and its tries are counted
// in the broker. There may be several copies of it all the same: the producer sends it
// again when it hears nothing, and a worker dies between its commit and the
// acknowledgement. So [Complete] enters its identity, which is the queue and the id, in
// the table <table>_inbox, in the transaction that has the effect:
//
//   - A copy that comes later gets ErrSuperseded, and one that comes at the same time
//     waits for what becomes of the first. It costs one INSERT, and nothing before it.
//   - With a rollback there is no entry, and the next copy has the effect.
//   - FailAction enters the message as given up. What Consume would do is not done any
//     more, and FailAction's effect happens once, too: a copy in the same round gets
//     ErrSuperseded, upon which the worker sees that the message is in the dead queue.
//     A round ends with a requeue from there, and a later round may complete the message,
//     or give it up again. What is completed stays so, however often it is requeued.
//   - Each queue has its own copy of an event, and so its own effect.
//   - What runs beside the transaction, a mail or a call of another service, may happen
//     more than once, as with a job.
//
// Entries are kept for retry.Config.InboxRetention; a copy that comes later than that is
// taken for a new message. The inbox belongs to one jobs table of one database: where
// several applications share a queue, each sees its own only, and code that completes in
// another table than its neighbour on the same queue guards nothing.
//
// The id is the producer's: message-id, or what worker.Queue.Messages.ID names. It has to
// be one for each thing that happened, and the same when that is sent again. A message
// that came without one is refused with [ErrNoIdentity], since its ID is a hash of what it
// says: of two orders for the same book one would be lost.
//
// Or let the ledger take the message over. A handler that does nothing but [Enqueue] a job
// with what the message says, and Complete, both in one transaction, makes exactly one job
// of it. From then on that has all that a row gives: any delay between its tries, nothing
// lost with the broker's disk, its place among dead jobs, one timeline in SQL. It costs a
// second trip through the broker. So Complete alone is for effects that take a moment and
// a message that the broker may keep; take over what is slow, precious or to be watched.
//
// # PgBouncer
//
// In transaction mode each transaction of a client may run on another of the
// server's sessions, so nothing may be prepared in one and executed in a later
// one, unless PgBouncer itself sees to it. pgx and GORM do that unless they are told
// otherwise. With any version of PgBouncer, open the database in one of these ways:
//
//	gorm.Open(postgres.Open("postgres://app:secret@pgbouncer:6432/shop?default_query_exec_mode=exec"), &gorm.Config{})
//
//	gorm.Open(postgres.New(postgres.Config{
//		DSN:                  "postgres://app:secret@pgbouncer:6432/shop",
//		PreferSimpleProtocol: true, // or default_query_exec_mode=simple_protocol in the DSN
//	}), &gorm.Config{})
//
// This package's whole suite of tests passes with either of them behind PgBouncer
// 1.18 and 1.24; default_query_exec_mode=cache_describe works with both, too.
//
// PgBouncer 1.24 follows prepared statements from session to session without being
// told to (max_prepared_statements is 200). Behind it pgx's default, cache_statement,
// passes the whole suite, and GORM's PrepareStmt works, with or without
// PreferSimpleProtocol. 1.21 to 1.23 can do it where max_prepared_statements is set;
// that has not been tried here.
//
// What does not work, and how it fails as soon as two clients meet in one session:
//
//   - Where prepared statements are not followed (1.18): pgx's default and GORM's
//     PrepareStmt with whatever else: prepared statement "stmtcache_…" (or "stmt_…")
//     already exists (SQLSTATE 42P05), or does not exist (26000).
//   - default_query_exec_mode=describe_exec: unnamed prepared statement does not
//     exist (26000) or, worse, one client is given what another one asked for.
//   - search_path, options, statement_timeout and the like in the DSN: unsupported
//     startup parameter (08P01), at once; what is in options is looked at from 1.20
//     on (unsupported startup parameter in options). Name the schema in
//     Config.Schema.
//
// Relay holds one of the server's sessions while its batch is on the wire: let
// default_pool_size be more than the dispatchers' Relays that run at once, for
// each database and user. PgBouncer's idle_transaction_timeout, if set, must
// exceed Config.WireTimeout.
//
// # Settings
//
// What a role's or a database's settings say about how values are written
// (bytea_output, DateStyle, TimeZone, search_path, …) changes nothing. Three things
// must be as they are by default: client_encoding is UTF8; standard_conforming_strings
// is on for the simple protocol, which pgx insists on; and the role may write, so
// default_transaction_read_only is off. A statement_timeout or lock_timeout below
// Config.StatementTimeout ends statements sooner.
//
// # What people do
//
// [Store.Requeue], [Store.Cancel], [Store.RunNow], [Store.Reschedule] and [Store.Delete] are
// done to jobs by their ids, [Store.StartOperation] to all that match a [Filter], after
// [Store.Rehearse] has said what that would be. [Store.Pause] has a queue stand still in all
// instances. Each is recorded, with who ([By]) and why, as an [Operation] and in the
// history of each job, in the transaction that does it: what cannot be recorded is not done.
// retry.Sweeper carries operations on in steps of at most 500 jobs, and keeps the record for
// 90 days.
//
// # Sessions that can only read
//
// A session to a primary that has been demoted refuses every write (SQLSTATE 25006)
// for as long as it lives. A statement of the Store's own that meets one has all idle
// sessions of the pool asked, and those that can only read closed. [Enqueue] and
// [Complete] in a transaction of the caller's return the error instead: the
// connection is the transaction's and goes back to the pool with its end.
// [Store.Transaction] looks after that, too; a process that enqueues in any other
// way, and does nothing else, should set SetConnMaxLifetime. Open the database with
// all its hosts and target_session_attrs=read-write, so that new sessions find the
// one that writes.
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
