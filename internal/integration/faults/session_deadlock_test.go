//go:build unix

package faults_test

import (
	"context"
	"testing"

	"gorm.io/gorm"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/handler"
	"github.com/ackbox/ackbox/internal/integration/shop"
	"github.com/ackbox/ackbox/outbox"
)

// A handler's transaction deadlocks with somebody else's: it has a row of the
// application's and wants its job's, the other way round over there. It is the
// one to be ended, in Complete: it runs again, uncharged, and succeeds.
func TestDeadlock(t *testing.T) {
	t.Parallel()
	locked, stocked := make(chan struct{}), make(chan struct{}, 10)
	s := newStage(t, handlers(func(ctx context.Context, app *shop.App, job handler.Job[special]) error {
		<-locked
		return app.DB.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
			if err := tx.Exec(`UPDATE shop_stock SET n = n - 1`).Error; err != nil {
				return err
			}
			stocked <- struct{}{}
			if err := tx.Exec(`INSERT INTO shop_effects (job, kind, action) VALUES (?, ?, 'consume')`, job.ID, job.Kind).Error; err != nil {
				return err
			}
			return outbox.Complete(ctx, tx)
		})
	}))
	s.exec(`CREATE TABLE shop_stock AS SELECT 100 AS n`)
	id := s.commit(special{}, ackbox.Done)
	s.run()
	s.reaches(1, `SELECT count(*) FROM shop_runs`)
	s.reaches(1, `SELECT count(*) FROM ackbox_jobs WHERE state = 'sent'`)

	other := s.db.WithContext(s.ctx).Begin()
	defer other.Rollback() // if it has not ended by then
	s.must("be the more patient one", other.Exec(`SET LOCAL deadlock_timeout = '60s'`).Error)
	s.must("lock the job", other.Exec(`SELECT FROM ackbox_jobs WHERE id = ? FOR UPDATE`, id).Error)
	close(locked)
	<-stocked
	s.must("lock the stock", other.Exec(`UPDATE shop_stock SET n = n + 10`).Error)
	s.must("commit", other.Commit().Error)

	audit := s.settled()
	s.equal("deadlocks", s.count(`SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()`), 1)
	s.equal("tries", s.count(`SELECT attempt FROM ackbox_jobs`), 1) // Complete was the victim
	s.equal("runs", s.count(`SELECT count(*) FROM shop_runs`), 2)
	s.equal("effects", s.count(`SELECT count(*) FROM shop_effects`), 1)
	s.equal("stock", s.count(`SELECT n FROM shop_stock`), 109)
	t.Logf("%+v", audit)
}

// Somebody locks the jobs' rows, in the order that is opposite to ours, again
// and again. Dispatcher, recorder and sweeps pass over what is locked, so they
// never wait for it and cannot deadlock with it.
func TestRowsLockedInOppositeOrder(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.place(300, shop.Plan{})
	ctx, stop := context.WithCancel(s.ctx)
	ended := make(chan result)
	go func() {
		var r result
		for ctx.Err() == nil && r.err == nil {
			r.err = s.db.WithContext(s.ctx).Transaction(func(tx *gorm.DB) error {
				return tx.Exec(`SELECT pg_sleep(0.01) FROM (SELECT FROM ackbox_jobs WHERE finished_at IS NULL ORDER BY id DESC LIMIT 50 FOR UPDATE) AS locked`).Error
			})
			r.again++
		}
		ended <- r
	}()
	s.run(dispatcherOnly)
	s.run(workerOnly)
	audit := s.settled()
	stop()
	r := <-ended
	s.must("lock rows", r.err)
	s.atLeast("times that rows were locked", r.again, 3)
	s.equal("deadlocks", s.count(`SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()`), 0)
	s.chargedByHandlers() // Complete waits for its row, but not for ever
	t.Logf("%+v, rows were locked %d times, tries charged by handlers: %d", audit, r.again, s.count(`SELECT sum(attempt - 1) FROM ackbox_jobs`))
}
