//go:build unix

package faults_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/ackbox/ackbox/handler"
	"github.com/ackbox/ackbox/internal/integration/shop"
	"github.com/ackbox/ackbox/outbox"
)

// refund gives the money back in FailAction, just as the database goes away.
type refund struct {
	app   *shop.App
	begun func()
}

// Consume implements handler.Typed.
func (refund) Consume(context.Context, handler.Job[shop.Charge]) error { return shop.ErrPlanned }

// FailAction implements handler.Typed.
func (h refund) FailAction(ctx context.Context, job handler.Job[shop.Charge], _ error) error {
	h.begun()
	return h.app.DB.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		err := tx.Exec(`INSERT INTO shop_effects (job, kind, action) VALUES (?, ?, 'fail')`, job.ID, job.Kind).Error
		if err != nil {
			return err
		}
		return outbox.Complete(ctx, tx)
	})
}

// FailAction is the last that happens for a job, so an outage of the database in
// the middle of it must not use up its few tries.
func TestDatabaseAwayDuringFailAction(t *testing.T) {
	t.Parallel()
	var s *stage
	var once sync.Once
	away := make(chan struct{})
	s = newStage(t, func(cfg *shop.Config) {
		cfg.Handlers = func(a *shop.App, reg *handler.Registry) {
			handler.Register(reg, refund{a, func() {
				once.Do(func() {
					if err := s.toPostgres.Refuse(); err != nil {
						t.Error(err)
					}
					close(away)
				})
			}})
		}
	})
	s.place(20, shop.Plan{Doomed: true})
	s.must("leave one try", s.db.Exec(`UPDATE ackbox_jobs SET max_attempts = 1`).Error)
	s.run()
	<-away
	s.wait(8 * time.Second)
	s.must("let the database come back", s.toPostgres.Accept())
	audit := s.settled()
	if n := s.count(`SELECT count(*) FROM ackbox_jobs WHERE state = 'dead' AND last_error LIKE '%planned to fail%'`); n != 20 {
		t.Errorf("%d of 20 jobs are dead of what they failed of", n)
	}
	t.Logf("%+v", audit)
}
