//go:build unix

package faults_test

import (
	"context"
	"errors"
	"testing"

	"github.com/ackbox/ackbox/internal/integration/shop"
	"github.com/ackbox/ackbox/internal/testenv"
	"github.com/ackbox/ackbox/internal/testenv/servers"
)

// Everything goes through a PgBouncer in transaction mode, which has fewer
// connections than its clients and is killed and restarted in the middle.
func TestPgBouncer(t *testing.T) {
	t.Parallel()
	const connections = 8
	bouncer, err := servers.NewPgBouncer(servers.PgBouncerOptions{Target: testenv.DatabaseURL(t), PoolSize: connections})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(bouncer.Kill(context.Background()), bouncer.Remove()); err != nil {
			t.Error(err)
		}
	})
	if err := bouncer.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := newStage(t, func(cfg *shop.Config) { cfg.DatabaseURL, cfg.PgBouncer = bouncer.URL(""), true })
	own := s.count(`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()`)
	d, w := s.run(dispatcherOnly), s.run(workerOnly)
	most := 0
	for round, end := range []func(context.Context) error{bouncer.Kill, bouncer.Stop} {
		s.place(200, shop.Plan{})
		s.reaches(200*round+50, `SELECT count(*) FROM shop_effects`)
		most = max(most, s.count(`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()`)-own)
		s.must("end PgBouncer", end(s.ctx))
		if round == 0 {
			s.logged(s.log.String, "dispatcher: batches fail")
			s.logged(s.log.String, "worker: ")
		}
		s.must("start PgBouncer", bouncer.Start(s.ctx))
	}
	audit := s.settled()
	s.chargedByHandlers()
	s.atLeast("connections to PostgreSQL", most, 1)
	s.atMost("connections to PostgreSQL", most, connections+1) // app may have opened another
	t.Logf("%+v, connections to PostgreSQL: %d, tries charged by handlers: %d, dispatcher: %+v, worker: %+v", audit, most,
		s.count(`SELECT sum(attempt - 1) FROM ackbox_jobs`), d.Dispatcher.Stats(), w.Worker.Stats())
}
