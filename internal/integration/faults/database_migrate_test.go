//go:build unix

package faults_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/ackbox/ackbox/internal/integration/shop"
	"github.com/ackbox/ackbox/internal/integration/site"
)

// migrate is the role of an instance that starts by migrating.
func migrate(ctx context.Context, cfg shop.Config) error {
	app, err := shop.Open(cfg)
	if err != nil {
		return err
	}
	return errors.Join(app.Store.Migrate(ctx), app.Close())
}

// Eight processes migrate at once. The one whose turn it is is killed in the
// middle, with the migration's lock in its session's hands.
func TestMigrateTogetherAndOneKilled(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.exec(`DO $$ DECLARE name text; BEGIN
		FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename LIKE 'ackbox%' LOOP
			EXECUTE format('DROP TABLE %I', name);
		END LOOP;
	END $$`)
	s.equal("tables left", s.count(`SELECT count(*) FROM pg_tables WHERE tablename LIKE 'ackbox%'`), 0)
	// The first table's name is taken by a transaction that does not end: whoever
	// has the lock stands still.
	tx := s.db.WithContext(s.ctx).Begin()
	defer tx.Rollback() // if it has not ended by then
	s.must("take the name", tx.Exec(`CREATE TABLE ackbox_jobs_migrations (nothing int)`).Error)

	const n = 8
	processes := make(map[string]*site.Process, n)
	for i := range n {
		name := fmt.Sprint("migrate", i)
		processes[name] = s.role("migrate", func(cfg *shop.Config) { cfg.DatabaseURL += "&application_name=" + name })
	}
	const locks = `SELECT count(*) FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)
		WHERE l.locktype = 'advisory' AND a.datname = current_database() AND l.granted = `
	s.reaches(n-1, locks+`false`)
	s.equal("processes that have the lock", s.count(locks+`true`), 1)
	var holder string
	s.must("ask who has the lock", s.db.WithContext(s.ctx).Raw(`SELECT application_name FROM pg_locks JOIN pg_stat_activity AS a USING (pid)
		WHERE locktype = 'advisory' AND granted AND a.datname = current_database()`).Scan(&holder).Error)
	victim := processes[holder]
	if victim == nil {
		t.Fatalf("the lock is held by %q", holder)
	}
	victim.Kill()
	if !victim.Killed() {
		t.Fatalf("the process that has the lock was not killed: %s", victim.Log())
	}
	s.must("give the name back", tx.Rollback().Error)
	for name, p := range processes {
		s.must("a process ends", p.Wait(patience))
		if log := p.Log(); name != holder && log != "" {
			t.Errorf("%s failed: %s", name, log)
		}
	}
	s.equal("migrations recorded", s.count(`SELECT count(*) FROM ackbox_jobs_migrations`), 1)
	s.run()
	s.place(20, shop.Plan{})
	s.settled()
}
