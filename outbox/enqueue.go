package outbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/bits"
	"time"

	"gorm.io/gorm"

	"github.com/ackbox/ackbox"
)

// Enqueue writes a job into the jobs table through tx, the caller's own
// transaction: it is published if and only if tx commits, and a rolled back
// savepoint takes its jobs along. tx must come from a *gorm.DB on which
// exactly one Store was made.
//
// It fails with [ErrNotInTransaction], [ErrOtherDatabase], [ErrNoStore],
// [ErrUnknownQueue], [ErrTooLarge] or an error that names what is wrong; then
// nothing is written. A transaction of another pool than the Store's costs one more
// SELECT, which asks it for the identity of its ledger, and so does one that is
// wrapped in a type of somebody else's.
// A failure of the database itself leaves tx as unusable as any other failed
// statement does.
func Enqueue(ctx context.Context, tx *gorm.DB, args ackbox.Args, opts ...Option) error {
	s, err := storeOf(tx)
	if err != nil {
		return err
	}
	return s.Enqueue(ctx, tx, args, opts...)
}

// Item is one job of an [EnqueueAll].
type Item struct {
	Args    ackbox.Args
	Options []Option
}

// EnqueueAll writes many jobs through tx, like [Enqueue], in few statements.
// Either all are written or none: the first bad item fails the call before
// anything is sent to the database.
func EnqueueAll(ctx context.Context, tx *gorm.DB, items ...Item) error {
	s, err := storeOf(tx)
	if err != nil {
		return err
	}
	return s.EnqueueAll(ctx, tx, items...)
}

// Enqueue is like the package's [Enqueue], for this Store's table.
func (s *Store) Enqueue(ctx context.Context, tx *gorm.DB, args ackbox.Args, opts ...Option) error {
	return s.EnqueueAll(ctx, tx, Item{Args: args, Options: opts})
}

// EnqueueAll is like the package's [EnqueueAll], for this Store's table.
func (s *Store) EnqueueAll(ctx context.Context, tx *gorm.DB, items ...Item) error {
	drafts, err := s.drafts(ctx, items)
	if err != nil {
		return err
	}
	conn, err := transactionOf(tx)
	switch {
	case err == nil:
		return s.insert(ctx, conn, drafts)
	case errors.Is(err, ErrNotInTransaction) && wantsOwn(drafts) && tx != nil && tx.Config != nil:
		return s.insertAlone(ctx, tx, drafts)
	}
	return err
}

func (s *Store) insertAlone(ctx context.Context, db *gorm.DB, drafts []*draft) error {
	// A transaction ends with its context, so what is bounded is each wait in it:
	// for a connection, and for the commit. Every INSERT has a deadline of its own.
	bounded, cancel := context.WithCancel(ctx)
	defer cancel()
	timer := time.AfterFunc(s.cfg.StatementTimeout, cancel)
	defer timer.Stop()
	err := db.WithContext(bounded).Transaction(func(tx *gorm.DB) error {
		timer.Stop()
		defer timer.Reset(s.cfg.StatementTimeout)
		conn, err := transactionOf(tx)
		if err != nil {
			return err
		}
		return s.insert(bounded, conn, drafts)
	})
	if err != nil && bounded.Err() != nil && ctx.Err() == nil {
		err = fmt.Errorf("no connection or no commit within %v: %w: %w", s.cfg.StatementTimeout, context.DeadlineExceeded, err)
	}
	if err != nil {
		return fmt.Errorf("outbox: enqueue in a transaction of its own: %w", err)
	}
	signal(s.wake)
	return nil
}

// EnqueueTx is like [Store.EnqueueAll] for code that uses database/sql: the
// jobs are written through tx, which must belong to the same database.
func (s *Store) EnqueueTx(ctx context.Context, tx *sql.Tx, items ...Item) error {
	if tx == nil {
		return fmt.Errorf("%w: the *sql.Tx is nil", ErrNotInTransaction)
	}
	drafts, err := s.drafts(ctx, items)
	if err != nil {
		return err
	}
	return s.insert(ctx, tx, drafts)
}

func (s *Store) drafts(ctx context.Context, items []Item) ([]*draft, error) {
	drafts := make([]*draft, len(items))
	for i, item := range items {
		d, err := s.draft(ctx, item.Args, item.Options)
		if err != nil {
			if len(items) > 1 {
				err = fmt.Errorf("item %d: %w", i, err)
			}
			return nil, err
		}
		drafts[i] = d
	}
	return drafts, nil
}

func wantsOwn(drafts []*draft) bool {
	for _, d := range drafts {
		if !d.own {
			return false
		}
	}
	return len(drafts) > 0
}

func (s *Store) insert(ctx context.Context, conn gorm.ConnPool, drafts []*draft) error {
	if len(drafts) == 0 {
		return nil
	}
	if err := s.ours(ctx, conn); err != nil {
		return err
	}
	due, all := false, drafts
	for len(drafts) > 0 {
		// The largest power of two that there is a statement for.
		size := min(bits.Len(uint(len(drafts))), len(s.sql.inserts)) - 1
		for size > 0 && payloadOf(drafts[:1<<size]) > maxInsert {
			size--
		}
		n := 1 << size
		var params []any
		for _, d := range drafts[:n] {
			values, err := d.values(s.d)
			if err != nil {
				return err
			}
			params = append(params, values...)
			due = due || d.due()
		}
		if err := s.insertSome(ctx, conn, s.sql.inserts[size], params); err != nil {
			return err
		}
		drafts = drafts[n:]
	}
	for _, d := range all {
		s.hooks.Enqueued(ctx, d.job)
	}
	if due {
		// The caller has not committed yet. The dispatcher looks now and then
		// again at growing intervals, so that it finds the row soon after the
		// commit, for which neither GORM nor database/sql has a hook.
		signal(s.wake)
	}
	return nil
}

// maxInsert is how many bytes of payload several rows of one INSERT may have: each
// has to be on its way within a deadline.
const maxInsert = 4 << 20

func payloadOf(drafts []*draft) (n int) {
	for _, d := range drafts {
		n += len(d.job.Payload)
	}
	return n
}

func (s *Store) insertSome(ctx context.Context, conn gorm.ConnPool, query string, params []any) error {
	ctx, cancel := s.deadline(ctx)
	defer cancel()
	if _, err := conn.ExecContext(ctx, query, params...); err != nil {
		if noTable(err) && s.d.schemas {
			return fmt.Errorf("outbox: write jobs to %s: %w: or it was called for another schema than Config.Schema, %q: %w", s.sql.table, ErrNotMigrated, s.cfg.Schema, err)
		}
		return fmt.Errorf("outbox: write jobs to %s: %w", s.sql.table, explain(err))
	}
	return nil
}
