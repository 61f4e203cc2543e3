package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"gorm.io/gorm"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/outbox"
)

func (e *env) inbox() string { return strings.TrimSuffix(e.table(), `"`) + `_inbox"` }

// message is one without a row, as a worker hands it to its handler.
func message(queue, id string, round int) ackbox.Job {
	return ackbox.Job{ID: id, Kind: "note", Queue: queue, Attempt: round + 1, AttemptsBefore: round}
}

// handling is the context of the handler of a message.
func (e *env) handling(job ackbox.Job, cause error) context.Context {
	return ackbox.WithRun(e.ctx, ackbox.Run{Job: job, Cause: cause})
}

func (e *env) wantReceived(job ackbox.Job, want core.Verdict) {
	e.Helper()
	if got, err := e.store().Received(e.ctx, job); got != want || err != nil {
		e.Errorf("message %s of %s, round %d: %v, %v; want %v", job.ID, job.Queue, job.AttemptsBefore, got, err, want)
	}
}

// The effect of a message without a row happens once for its queue and id, whatever
// becomes of its copies.
func inboxOnce(e *env) {
	e.store()
	m := message("orders", "o-1 ß", 0)
	e.wantReceived(m, core.Started)
	if err := effect(e.handling(m, nil), e.db, errChangedMind); !errors.Is(err, errChangedMind) {
		e.Error(err)
	}
	e.wantReceived(m, core.Started)
	e.must(effect(e.handling(m, nil), e.db, nil))
	e.wantRows(0, 1)
	e.wantReceived(m, core.Stale)
	later := message("orders", "o-1 ß", 0)
	later.Attempt = 5
	requeued := message("orders", "o-1 ß", 3)
	for _, copied := range []ackbox.Job{m, later, requeued} {
		err := effect(e.handling(copied, nil), e.db, nil)
		if !errors.Is(err, ackbox.ErrSuperseded) || errors.Is(err, outbox.ErrCompleted) {
			e.Errorf("a copy %+v: %v", copied, err)
		}
		e.wantReceived(copied, core.Stale)
	}
	e.wantRows(0, 1)
	// Another queue has another handler for the same message; another id is another one.
	for _, other := range []ackbox.Job{message("mail", "o-1 ß", 0), message("orders", "o-1", 0)} {
		e.wantReceived(other, core.Started)
		e.must(effect(e.handling(other, nil), e.db, nil))
	}
	e.wantRows(0, 3)
}

// What was given up stays so for its round, and the worker is told that it may not be in
// the dead queue yet; a later round may complete it, or give it up again.
func inboxGivenUp(e *env) {
	e.store()
	cause := errors.New("no")
	first, second := message("orders", "o", 0), message("orders", "o", 2)
	e.must(effect(e.handling(first, cause), e.db, nil))
	e.wantReceived(first, core.GivenUp)
	e.wantReceived(second, core.Started)
	for _, again := range []error{nil, cause} {
		e.wantRefused(effect(e.handling(first, again), e.db, nil))
	}
	e.must(effect(e.handling(second, cause), e.db, nil))
	e.wantReceived(first, core.Stale) // the newer one is where it belongs
	e.wantReceived(second, core.GivenUp)
	e.wantRefused(effect(e.handling(first, nil), e.db, nil))
	e.wantRefused(effect(e.handling(second, nil), e.db, nil))
	third := message("orders", "o", 3)
	if err := effect(e.handling(third, nil), e.db, errChangedMind); !errors.Is(err, errChangedMind) {
		e.Error(err)
	}
	e.wantReceived(second, core.GivenUp) // nothing of the third's remains
	e.must(effect(e.handling(third, nil), e.db, nil))
	for _, m := range []ackbox.Job{first, second, third, message("orders", "o", 9)} {
		e.wantReceived(m, core.Stale)
		for _, again := range []error{nil, cause} {
			e.wantRefused(effect(e.handling(m, again), e.db, nil))
		}
	}
	e.wantRows(0, 3)
	// A round is what a header says, and there anything may stand.
	for i, forged := range []int{-1, 1 << 40} {
		m := message("orders", fmt.Sprint(i), forged)
		e.must(effect(e.handling(m, cause), e.db, nil))
		e.wantReceived(m, core.GivenUp)
		e.wantRefused(effect(e.handling(m, nil), e.db, nil))
	}
}

// wantRefused checks that err is that of a copy.
func (e *env) wantRefused(err error) {
	e.Helper()
	if !errors.Is(err, ackbox.ErrSuperseded) || errors.Is(err, outbox.ErrCompleted) {
		e.Errorf("a copy: %v; want ErrSuperseded", err)
	}
}

// Within one call of a handler it is as with a row.
func inboxTwice(e *env) {
	e.store()
	for i, cause := range []error{nil, errors.New("no")} {
		m := message("orders", fmt.Sprint(i), 0)
		ctx := e.handling(m, cause)
		twice := func(tx *gorm.DB) error { return errors.Join(outbox.Complete(ctx, tx), outbox.Complete(ctx, tx)) }
		err := e.db.Transaction(func(tx *gorm.DB) error { return errors.Join(twice(tx), errChangedMind) })
		if !errors.Is(err, errChangedMind) || errors.Is(err, ackbox.ErrSuperseded) {
			e.Errorf("twice, rolled back: %v", err)
		}
		e.must(e.db.Transaction(func(tx *gorm.DB) error {
			_ = tx.Transaction(func(tx *gorm.DB) error { return errors.Join(outbox.Complete(ctx, tx), errChangedMind) })
			return twice(tx)
		}))
		if err = e.db.Transaction(twice); !errors.Is(err, outbox.ErrCompleted) || errors.Is(err, ackbox.ErrSuperseded) {
			e.Errorf("in another transaction: %v", err)
		}
		// Another call of a handler is another matter.
		e.wantRefused(effect(e.handling(m, cause), e.db, nil))
	}
	// Another copy has entered it after the savepoint was rolled back.
	m := message("orders", "savepoint", 0)
	ctx := e.handling(m, nil)
	e.wantRefused(e.db.Transaction(func(tx *gorm.DB) error {
		_ = tx.Transaction(func(tx *gorm.DB) error { return errors.Join(outbox.Complete(ctx, tx), errChangedMind) })
		e.must(tx.Exec("INSERT INTO " + e.inbox() + " (queue, id, round, dead, finished_at) VALUES ('orders', 'savepoint', 0, false, " + e.at(time.Second) + ")").Error)
		return outbox.Complete(ctx, tx)
	}))
	// Code that uses database/sql.
	pool, err := e.db.DB()
	e.must(err)
	m = message("orders", "sql", 0)
	for _, want := range []error{nil, ackbox.ErrSuperseded} {
		tx, err := pool.BeginTx(e.ctx, nil)
		e.must(err)
		if err := e.store().CompleteTx(e.handling(m, nil), tx); !errors.Is(err, want) {
			e.Errorf("CompleteTx: %v, want %v", err, want)
		}
		e.must(tx.Commit())
	}
	e.wantRows(0, 0)
}

// Each jobs table of a database has its own inbox, and a transaction of another database
// is refused.
func inboxOfEachTable(e *env) {
	first := e.store()
	cfg := e.config()
	cfg.Table = "another"
	second := e.newStore(cfg)
	m := message("orders", "1", 0)
	for _, s := range []*outbox.Store{first, second} {
		e.must(e.db.Transaction(func(tx *gorm.DB) error { return s.Complete(e.handling(m, nil), tx) }))
		e.wantRefused(e.db.Transaction(func(tx *gorm.DB) error { return s.Complete(e.handling(m, nil), tx) }))
	}
	err := e.db.Transaction(func(tx *gorm.DB) error { return outbox.Complete(e.handling(m, nil), tx) })
	if !errors.Is(err, outbox.ErrNoStore) {
		e.Errorf("of two Stores: %v", err)
	}
}

// What cannot be told from another message is refused, and nothing is lost or written.
func inboxRefuses(e *env) {
	s := e.store()
	for what, m := range map[string]ackbox.Job{
		"an id from its content": {ID: outbox.NewID(), Queue: "q", IDFromContent: true},
		"no id":                  {Queue: "q"},
		"a long id":              {ID: strings.Repeat("x", 256), Queue: "q"},
		"NUL":                    {ID: "a\x00b", Queue: "q"},
		"no text":                {ID: "a\xff", Queue: "q"},
	} {
		err := e.db.Transaction(func(tx *gorm.DB) error { return outbox.Complete(e.handling(m, nil), tx) })
		if !errors.Is(err, outbox.ErrNoIdentity) || errors.Is(err, ackbox.ErrSuperseded) {
			e.Errorf("%s: %v", what, err)
		}
		e.wantReceived(m, core.Started)
	}
	if n := e.rows(e.inbox()); n != 0 {
		e.Errorf("%d entries", n)
	}
	if err := s.Complete(e.handling(message("q", "1", 0), nil), e.db); !errors.Is(err, outbox.ErrNotInTransaction) {
		e.Error(err)
	}
	// As long as ids may be, and as odd.
	for _, id := range []string{strings.Repeat("x", 255), "'; DROP TABLE", `"`, "\\x00", "%s?{now}"} {
		e.must(e.db.Transaction(func(tx *gorm.DB) error { return outbox.Complete(e.handling(message("q", id, 0), nil), tx) }))
		e.wantReceived(message("q", id, 0), core.Stale)
	}
}

// Copies that are handled at the same time have one effect between them, whichever of
// their transactions commit.
func inboxAtOnce(e *env) {
	e.store()
	const messages, copies = 20, 6
	var wait sync.WaitGroup
	for i := range messages {
		for n := range copies {
			wait.Go(func() {
				var after error
				if n < 3 { // these never commit
					after = errChangedMind
				}
				for tries := 1; ; tries++ {
					err := effect(e.handling(message("orders", fmt.Sprint(i), 0), nil), e.db, after)
					if errors.Is(err, ackbox.ErrBusy) && tries < 100 {
						continue // a worker tries again, too
					}
					if err != nil && !errors.Is(err, ackbox.ErrSuperseded) && !errors.Is(err, errChangedMind) {
						e.Error(err)
					}
					return
				}
			})
		}
	}
	wait.Wait()
	e.wantRows(0, messages)
}

func inboxPurge(e *env) {
	s := e.store()
	for i := range 5 {
		e.must(e.db.Transaction(func(tx *gorm.DB) error {
			return outbox.Complete(e.handling(message("orders", fmt.Sprint(i), 0), nil), tx)
		}))
		if i < 4 {
			e.exec("UPDATE " + e.inbox() + " SET finished_at = " + e.at(-time.Duration(10-i)*24*time.Hour) + " WHERE id = '" + fmt.Sprint(i) + "'")
		}
	}
	for _, want := range []int{2, 1, 0} { // those of 10, 9 and 8 days ago
		if n, err := s.PurgeInbox(e.ctx, 7*24*time.Hour+time.Hour, 2); n != want || err != nil {
			e.Errorf("purged %d, %v; want %d", n, err, want)
		}
	}
	for i, want := range []core.Verdict{core.Started, core.Started, core.Started, core.Stale, core.Stale} {
		e.wantReceived(message("orders", fmt.Sprint(i), 0), want)
	}
}
