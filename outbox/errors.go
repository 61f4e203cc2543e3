package outbox

import "errors"

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
	// ErrNotFound is returned by Get for an id without a row.
	ErrNotFound = errors.New("outbox: no such job")
)
