package storetest

import (
	"errors"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/outbox"
)

// A table that is not there, or of before, is said to be so by whatever is called.
func notMigrated(e *env) {
	for _, old := range []bool{false, true} {
		cfg := e.config()
		if old {
			e.store()
			e.exec("ALTER TABLE " + e.table() + " RENAME COLUMN starts TO begins")
			e.exec("ALTER TABLE " + e.instances() + " RENAME COLUMN since TO ever")
		} else {
			cfg.Table = "nowhere"
		}
		s := e.made
		if !old {
			var err error
			s, err = outbox.NewStore(e.db, cfg)
			e.must(err)
		}
		id := outbox.NewID()
		calls := map[string]func() error{
			"Beat":     func() error { _, err := s.Beat(e.ctx, core.Instance{ID: id, Role: "x"}); return err },
			"Leave":    func() error { return s.Leave(e.ctx, id) },
			"Start":    func() error { _, err := s.Start(e.ctx, id, []ackbox.Job{{ID: id, Attempt: 1}}); return err },
			"Hold":     func() error { _, err := s.Hold(e.ctx, id, []core.Holding{{ID: id, Attempt: 1}}); return err },
			"TakeBack": func() error { _, err := s.TakeBack(e.ctx, 1); return err },
			"Get":      func() error { _, err := s.Get(e.ctx, id); return err },
			"Requeue":  func() error { _, err := s.Requeue(e.ctx, id); return err },
			"Refused":  func() error { _, err := s.Refused(e.ctx, id, []string{"default"}, 1); return err },
			"Finish": func() error {
				_, err := s.Finish(e.ctx, []core.Transition{{ID: id, Attempt: 1, To: ackbox.Dead}})
				return err
			},
		}
		if !old {
			calls["Instances"] = func() error { _, err := s.Instances(e.ctx); return err }
			calls["Stats"] = func() error {
				_, err := s.Stats(e.ctx, outbox.StatsQuery{From: time.Now(), To: time.Now().Add(1), Step: time.Hour})
				return err
			}
			calls["WriteStats"] = func() error { s.Ran(core.Ran{Queue: "q", Kind: "k"}); return s.WriteStats(e.ctx, true) }
			calls["PurgeStats"] = func() error { _, err := s.PurgeStats(e.ctx, time.Hour, 0, 1); return err }
			calls["Identity"] = func() error { _, err := s.Identity(e.ctx); return err }
			calls["Relay"] = func() error { _, err := s.Relay(e.ctx, core.Claim{Limit: 1}, nil); return err }
			calls["Reconcile"] = func() error { return s.Reconcile(e.ctx, id, nil) }
			calls["Unattended"] = func() error { _, err := s.Unattended(e.ctx); return err }
			calls["Ages"] = func() error { _, err := s.Ages(e.ctx); return err }
			calls["Resend"] = func() error { _, err := s.Resend(e.ctx, "q", time.Now(), 0, 1); return err }
			calls["Rearm"] = func() error { _, err := s.Rearm(e.ctx, "q", 1); return err }
			calls["Purge"] = func() error { _, err := s.Purge(e.ctx, "q", 0, 1); return err }
			calls["Received"] = func() error { _, err := s.Received(e.ctx, message("q", "1", 0)); return err }
			calls["PurgeInbox"] = func() error { _, err := s.PurgeInbox(e.ctx, 0, 1); return err }
			calls["Complete of a message"] = func() error {
				return e.db.Transaction(func(tx *gorm.DB) error { return s.Complete(e.handling(message("q", "1", 0), nil), tx) })
			}
			// Of an older table they read no row, and so no column that is missing.
			calls["List"] = func() error { _, err := s.List(e.ctx, outbox.Filter{}, "", 100); return err }
			calls["Count"] = func() error { _, err := s.Count(e.ctx, outbox.Filter{}); return err }
			calls["GivenUp"] = func() error { _, _, err := s.GivenUp(e.ctx, outbox.Filter{}); return err }
			calls["QueueStatus"] = func() error { _, err := s.QueueStatus(e.ctx); return err }
			calls["Counts"] = func() error { _, err := s.Counts(e.ctx); return err }
			calls["Cancel"] = func() error { _, err := s.Cancel(e.ctx, id); return err }
			calls["Enqueue"] = func() error {
				return e.db.Transaction(func(tx *gorm.DB) error { return s.Enqueue(e.ctx, tx, note{}) })
			}
		}
		for name, call := range calls {
			if err := call(); !errors.Is(err, outbox.ErrNotMigrated) || !strings.Contains(err.Error(), "store.Migrate") {
				e.Errorf("%s, old %v: %v", name, old, err)
			}
		}
	}
}
