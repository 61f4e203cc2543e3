package outbox

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"gorm.io/gorm"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/mark"
)

// What completing a job's row and entering a message in the inbox have in common.

// patience bounds the wait for somebody else's transaction: a dispatcher holds a row for
// so long while its destination gives no answer.
func (s *Store) patience(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, s.cfg.WireTimeout+s.cfg.StatementTimeout)
}

// notCompleted is the error of a statement in the handler's transaction, which bounded
// was to end; ctx is the handler's own.
func notCompleted(ctx, bounded context.Context, what string, err error) error {
	if ctx.Err() == nil && (bounded.Err() != nil || notHad(err)) {
		return fmt.Errorf("outbox: complete %s: %w: %w", what, ackbox.ErrBusy, err)
	}
	return fmt.Errorf("outbox: complete %s: %w", what, explain(err))
}

// notHad reports whether a row could not be had because of somebody else: a lock or a
// statement took longer than somebody allows, a deadlock was broken, the row changed
// under a transaction that must not see that. Nothing about the job has failed.
func notHad(err error) bool {
	switch sqlState(err) {
	case "55P03", "57014", "40P01", "40001":
		return true
	}
	return busyFile(err)
}

// busyFile reports whether a SQLite file was locked by another writer.
func busyFile(err error) bool {
	var e interface{ Code() int }
	return errors.As(err, &e) && e.Code()&0xff == 5
}

// finishedBefore says what it means to a call of a handler that its job was finished at
// a time: nothing, if it did that itself in this transaction. The time tells its own
// mark from one that somebody else has made after a savepoint of ours was rolled back.
func finishedBefore(ctx context.Context, c gorm.ConnPool, what string, finished time.Time) error {
	by, at, ok := mark.From(ctx).Get()
	switch {
	case !ok || !finished.Equal(at):
		return ackbox.ErrSuperseded
	case by != nil && by == key(c):
		return nil
	}
	return fmt.Errorf("outbox: complete %s: %w", what, ErrCompleted)
}

// key is what a transaction is told by, nil if it cannot be.
func key(c gorm.ConnPool) any {
	if !reflect.TypeOf(c).Comparable() {
		return nil
	}
	return c
}
