package outbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"gorm.io/gorm"

	"github.com/ackbox/ackbox/internal/hook"
)

// Store is one jobs table. It is safe for concurrent use and holds no
// connection of its own: it uses the pool of the *gorm.DB it was made on.
type Store struct {
	pool *pool
	gorm *gorm.DB
	cfg  Config
	d    *dialect
	sql  statements
	ways *ways
	wake chan struct{}
	// known is the ledger's identity, a string, once it has been read.
	known atomic.Value
	turn  chan struct{} // SQLite only: one claimed batch at a time, see Relay
	wire  wire          // PostgreSQL only: SQLite locks no rows
	// front and walks are PostgreSQL's only, too: SQLite keeps no dead rows.
	queues *queues
	front  front
	size   size
	walks  walks
	beats  heartbeat // PostgreSQL only, too
	hooks  *hook.List
	tally  tally
	// written and clock are for the statistics: when they were written, and by what clock.
	written written
	clock   clock
	// released receives when rows that somebody waits for are committed.
	released chan struct{}
}

// NewStore returns the Store of the table that cfg names and binds it to db,
// so that the package-level functions find it from any transaction of db. It
// does no I/O; [Store.Migrate] creates the table. Call it while the
// application starts, before db is used concurrently. It fails on a nil db, one
// that is in a transaction or a DryRun session, a database other than postgres or
// sqlite, and on every bad field of cfg, by name. Several Stores may be made on one db, for several tables; jobs are
// then written with the Store's own methods.
func NewStore(db *gorm.DB, cfg Config) (*Store, error) {
	switch {
	case db == nil || db.Config == nil || db.Dialector == nil:
		return nil, errors.New("outbox: db is nil: pass an opened *gorm.DB")
	case db.DryRun:
		return nil, errors.New("outbox: db is a DryRun session, of which nothing is written: pass the *gorm.DB that gorm.Open returned")
	case inTransaction(db):
		return nil, errors.New("outbox: db is in a transaction, which the Store would outlive: pass the *gorm.DB that gorm.Open returned")
	}
	d, err := dialectOf(db.Name())
	if err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults(d)
	if err := cfg.validate(d); err != nil {
		return nil, err
	}
	cfg.Queues = slices.Clone(cfg.Queues)
	own, err := db.DB()
	if err != nil {
		return nil, fmt.Errorf("outbox: find the connection pool of db: %w", err)
	}
	s := &Store{
		pool: &pool{DB: own},
		gorm: db,
		cfg:  cfg,
		d:    d,
		sql:  newStatements(d, cfg),
		ways: newWays(d, texts(d, cfg)),
		wake: make(chan struct{}, 1),
		turn: make(chan struct{}, 1),

		queues:   newQueues(cfg.Queues),
		hooks:    hook.New(cfg.Hooks, nil),
		released: make(chan struct{}, 1),
	}
	if err := bind(db, s); err != nil {
		return nil, err
	}
	return s, nil
}

// Wake returns a channel that receives after a job was enqueued through this
// Store in this process. It only saves waiting for the next poll; nothing
// depends on it for correctness.
func (s *Store) Wake() <-chan struct{} { return s.wake }

// Queues returns the work queues that jobs may name, those of Config.Queues.
func (s *Store) Queues() []string { return slices.Clone(s.cfg.Queues) }

// inTransaction reports whether db is the handle of one transaction.
func inTransaction(db *gorm.DB) bool {
	conn := db.ConnPool
	if db.Statement != nil && db.Statement.ConnPool != nil {
		conn = db.Statement.ConnPool
	}
	_, ok := conn.(gorm.TxCommitter)
	return ok
}

// signal leaves a signal in c, unless one is waiting there already.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// conn is what *sql.DB, *sql.Conn and *sql.Tx have in common.
type conn interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// deadline bounds one statement.
func (s *Store) deadline(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, s.cfg.StatementTimeout)
}

// exec runs one statement in a transaction of its own and returns the number
// of rows it changed.
func (s *Store) exec(ctx context.Context, what, query string, args ...any) (int, error) {
	ctx, cancel := s.deadline(ctx)
	defer cancel()
	n, err := affected(s.pool.ExecContext(ctx, query, args...))
	if err != nil {
		return 0, fmt.Errorf("outbox: %s: %w", what, err)
	}
	return n, nil
}

func affected(res sql.Result, err error) (int, error) {
	if err != nil {
		return 0, err
	}
	n, err := res.RowsAffected()
	return int(n), err
}

// pluginName is the key under which a *gorm.DB leads to its Stores.
const pluginName = "ackbox"

// bound is the GORM plugin that remembers the Stores made on a *gorm.DB.
type bound struct {
	mu     sync.Mutex
	stores []*Store
}

// Name implements gorm.Plugin.
func (b *bound) Name() string { return pluginName }

// Initialize implements gorm.Plugin; there is nothing to set up.
func (b *bound) Initialize(*gorm.DB) error { return nil }

func bind(db *gorm.DB, s *Store) error {
	b, ok := db.Plugins[pluginName].(*bound)
	if !ok {
		b = &bound{}
		if err := db.Use(b); err != nil {
			return fmt.Errorf("outbox: register the %q plugin on db: %w", pluginName, err)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, other := range b.stores {
		if other.sql.table == s.sql.table {
			return fmt.Errorf("outbox: this *gorm.DB has a Store for table %s already: use that one", s.sql.table)
		}
	}
	b.stores = append(b.stores, s)
	return nil
}

// storeOf finds the one Store that was made on the database of tx.
func storeOf(tx *gorm.DB) (*Store, error) {
	if tx == nil || tx.Config == nil {
		return nil, fmt.Errorf("%w: it is nil", ErrNotInTransaction)
	}
	b, ok := tx.Plugins[pluginName].(*bound)
	if !ok {
		return nil, fmt.Errorf("%w: call outbox.NewStore on it first", ErrNoStore)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.stores) != 1 {
		return nil, fmt.Errorf("%w: it has %d: use the methods of the Store you mean", ErrNoStore, len(b.stores))
	}
	return b.stores[0], nil
}

var _ gorm.Plugin = (*bound)(nil)
