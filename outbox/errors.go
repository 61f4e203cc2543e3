package outbox

import (
	"errors"
	"fmt"
	"strings"
)

var (
	// ErrNotInTransaction is returned where a transaction is needed and the
	// handle is not in one: a job written outside of the business transaction
	// would survive its rollback.
	ErrNotInTransaction = errors.New("outbox: the *gorm.DB is not in a transaction: pass the tx of db.Transaction or db.Begin, or ask for a transaction of its own with outbox.OwnTransaction()")
	// ErrOtherDatabase is returned for a transaction that belongs to another
	// database than the Store's: what is written there is no part of this ledger.
	ErrOtherDatabase = errors.New("outbox: the transaction belongs to another database than the Store")
	// ErrNoStore is returned by the package-level functions when no Store was
	// made on the *gorm.DB, or more than one.
	ErrNoStore = errors.New("outbox: the *gorm.DB does not lead to exactly one Store")
	// ErrUnknownQueue is returned for a queue that Config.Queues does not name.
	ErrUnknownQueue = errors.New("outbox: unknown queue")
	// ErrTooLarge is returned for a payload or headers over the limit.
	ErrTooLarge = errors.New("outbox: job too large")
	// ErrCompleted is returned by Complete where the same call of the handler has
	// completed its job already, in a transaction that is committed. What this one does
	// besides would not happen together with the job: roll it back, or do all in one.
	ErrCompleted = errors.New("outbox: this call of the handler has completed its job already, in another transaction, which is committed: call Complete once, in the transaction that has the effect")
	// ErrNoIdentity is returned by Complete for a message without a row that came without
	// an id. Its ID is a hash of what its producer said, so two messages that are equal
	// in everything would be one, and the second one's effect would be lost.
	ErrNoIdentity = errors.New("outbox: the message came without an id, so a copy of it cannot be told from another one that says the same: have its producer set message-id, name another place for it in worker.Queue.Messages.ID, or say there with worker.FromContent that equal messages are one")
	// ErrNotMigrated is wrapped by the error of any method that misses a table or a
	// column of the ledger: it was never made, or is older than this build.
	ErrNotMigrated = errors.New("outbox: the jobs table, or a part of it, is not there: run store.Migrate")
	// ErrSlow is returned by what people look at the table with, and wrapped with what the
	// database says, where the 2 s for it have passed.
	ErrSlow = errors.New("outbox: that takes too long to look up: narrow it by queue, kind or key")
	// ErrPlace is returned by List and Operations for a cursor that no page has given.
	ErrPlace = errors.New("outbox: the place from which a list is to go on is none that the page before has named")
	// ErrNotFound is returned by Get for an id without a row.
	ErrNotFound = errors.New("outbox: no such job")
)

// explain adds to an error of the database that it comes from a ledger that is not there.
func explain(err error) error {
	if err == nil || errors.Is(err, ErrNotMigrated) || !noTable(err) && !noColumn(err) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrNotMigrated, err)
}

// noTable reports whether err is either database's way to say that there is no such
// table.
func noTable(err error) bool {
	return sqlState(err) == "42P01" || strings.Contains(err.Error(), "no such table")
}

// noColumn is like noTable for a column.
func noColumn(err error) bool {
	text := err.Error()
	return sqlState(err) == "42703" || strings.Contains(text, "no such column") || strings.Contains(text, "has no column named")
}

// sqlState is the code that PostgreSQL gave an error, or empty.
func sqlState(err error) string {
	var e interface{ SQLState() string }
	if errors.As(err, &e) {
		return e.SQLState()
	}
	return ""
}
