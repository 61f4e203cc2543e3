//go:build unix

package accounting_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/testenv"
	"github.com/ackbox/ackbox/outbox"
	"github.com/ackbox/ackbox/retry"
)

// complete finishes the job in a transaction, after what do does in it.
func complete(ctx context.Context, db *gorm.DB, do func(tx *gorm.DB) error) error {
	return db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		if err := do(tx); err != nil {
			return err
		}
		return outbox.Complete(ctx, tx)
	})
}

func nothing(*gorm.DB) error { return nil }

// What a handler returns after Complete has committed changes nothing any more: the
// job is done, so it is not given up.
func TestCompletedIsNotGivenUp(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	c := newCalls(nil)
	c.do = func(ctx context.Context, _ ackbox.Job) error {
		if err := complete(ctx, s.db, nothing); err != nil {
			return err
		}
		return retry.Permanent(errors.New("the mail after the commit bounced"))
	}
	s.dispatch()
	w := s.worker(s.broker("worker"), map[string]*calls{"k": c})
	s.run("the worker", w.Run)
	id := s.enqueue("k")
	s.final(id)
	s.sees("it is settled", func() bool { return c.of(id).consume == 1 && w.Stats().InHand == 0 })
	s.wants("the job", id, ackbox.Done, 1, c.of(id), count{1, 0, 1})
	if stats := w.Stats(); stats.Dead != 0 || s.log.lines("a job is dead") > 0 {
		t.Errorf("it counts as dead: %+v", stats)
	}
	if s.log.lines("level=WARN", "the mail after the commit bounced", id) != 1 {
		t.Error("nobody is told of the error")
	}
}

// Complete twice in one transaction is one completion.
func TestCompleteTwice(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	c := newCalls(nil)
	c.do = func(ctx context.Context, _ ackbox.Job) error {
		return complete(ctx, s.db, func(tx *gorm.DB) error { return outbox.Complete(ctx, tx) })
	}
	s.dispatch()
	s.run("the worker", s.worker(s.broker("worker"), map[string]*calls{"k": c}).Run)
	id := s.enqueue("k")
	s.final(id)
	s.wants("the job", id, ackbox.Done, 1, c.of(id), count{1, 0, 1})
}

// Somebody has the row locked while Complete wants it, and the administrator lets
// nobody wait for long: that is no failure of the job.
func TestLocksOfOthersChargeNothing(t *testing.T) {
	t.Parallel()
	for _, setting := range []string{"lock_timeout", "statement_timeout"} {
		t.Run(setting, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			u := parse(t, testenv.DatabaseURL(t))
			query := u.Query()
			query.Set("options", "-c "+setting+"=300ms")
			u.RawQuery = query.Encode()
			handlers := s.open(u.String())
			s.storeOf(handlers) // for Complete
			ran, locked := make(chan struct{}, 1000), make(chan struct{})
			c := newCalls(nil)
			c.do = func(ctx context.Context, _ ackbox.Job) error {
				ran <- struct{}{}
				if err := until(ctx, locked); err != nil {
					return err
				}
				return complete(ctx, handlers, nothing)
			}
			s.dispatch()
			s.run("the worker", s.worker(s.broker("worker"), map[string]*calls{"k": c}).Run)
			id := s.enqueue("k", outbox.MaxAttempts(1))
			<-ran
			s.sees("it is recorded as sent", func() bool { return s.entry(id).State == ackbox.Sent })
			tx := s.db.Begin()
			defer tx.Rollback() // after Commit it does nothing
			s.must("lock the row", tx.Exec(`SELECT FROM ackbox_jobs WHERE id = ? FOR UPDATE`, id).Error)
			close(locked)
			s.sees("Complete has waited in vain", func() bool { return c.of(id).consume > 0 && c.running() == 0 })
			s.wait(time.Second)
			s.must("let go of the row", tx.Commit().Error)
			s.final(id)
			e := s.entry(id)
			if e.State != ackbox.Done || e.Attempt != 1 || c.of(id).fail != 0 || c.of(id).atOnce != 1 {
				t.Errorf("%s at try %d, last error %q, calls %+v", e.State, e.Attempt, e.LastError, c.of(id))
			}
		})
	}
}

// A job is given up while an earlier run of the same try still goes on, and an
// operator requeues it. What that run says in the end is of a try that is no more.
func TestLateOutcomeOfARequeuedJob(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	open := make(chan struct{})
	c := newCalls(nil)
	c.do = func(ctx context.Context, job ackbox.Job) error {
		if c.of(job.ID).consume > 1 {
			return nil
		}
		return errors.Join(until(ctx, open), retry.Permanent(fmt.Errorf("late")))
	}
	d := s.dispatch()
	s.run("the worker", s.worker(s.broker("worker"), map[string]*calls{"k": c}).Run)
	id := s.enqueue("k", outbox.MaxAttempts(1))
	s.sees("it runs", func() bool { return c.running() == 1 && s.entry(id).State == ackbox.Sent })
	d.stop() // so that nothing is sent before the late outcome is there
	s.must("give it up elsewhere", s.db.Exec(
		`UPDATE ackbox_jobs SET state = 'dead', finished_at = now(), last_error = 'elsewhere' WHERE id = ?`, id).Error)
	n, err := s.store.Requeue(s.ctx, id)
	if err != nil || n != 1 {
		t.Fatalf("Requeue: %d, %v", n, err)
	}
	close(open)
	s.sees("the old run has ended", func() bool { return c.running() == 0 })
	s.wait(time.Second)
	if e := s.entry(id); e.State != ackbox.Pending {
		t.Errorf("the late outcome has made it %s: %q", e.State, e.LastError)
	}
	s.dispatch()
	s.final(id)
	s.wants("the job", id, ackbox.Done, 2, c.of(id), count{2, 0, 1})
}
