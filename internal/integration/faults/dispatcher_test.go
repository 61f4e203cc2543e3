//go:build unix

package faults_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/ackbox/ackbox/internal/integration/shop"
	"github.com/ackbox/ackbox/internal/integration/site"
)

// In peace no job is published twice, however many dispatchers there are. Peace is when
// nobody waits for a processor.
func TestManyDispatchersInPeace(t *testing.T) {
	for _, n := range []int{2, 8} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			s := newStage(t)
			s.alter(`SET synchronous_commit = off`) // of no interest here, and five times as quick
			s.fresh()
			dispatchers := make([]*site.Process, n)
			for i := range dispatchers {
				dispatchers[i] = s.process(func(cfg *shop.Config) {
					dispatcherOnly(cfg)
					cfg.Name, cfg.Connections, cfg.Heartbeat = fmt.Sprint("dispatcher", i), 5, 10*time.Second
				})
			}
			s.process(workerOnly)
			for range 5 {
				s.place(1000, shop.Plan{})
			}
			audit := s.settled()
			s.equal("runs of copies", audit.DuplicateRuns, 0)
			s.equal("copies sent again", audit.Resent, 0)
			s.uncharged()
			busy := 0
			for _, p := range dispatchers {
				if reports := p.Reports(); len(reports) > 0 && reports[len(reports)-1].Dispatcher.Sent > 0 {
					busy++
				}
			}
			s.atLeast("dispatchers that had a share", busy, 2)
			t.Logf("%+v, dispatchers that had a share: %d", audit, busy)
		})
	}
}

// Of several dispatchers one is killed at each of its moments in turn.
func TestManyDispatchersAndOneKilled(t *testing.T) {
	t.Parallel()
	s := newStage(t, func(cfg *shop.Config) { cfg.Batch = 20 })
	s.process(workerOnly)
	survivor := s.process(func(cfg *shop.Config) { dispatcherOnly(cfg); cfg.Name = "survivor" })
	for _, point := range []string{"claimed", "published", "settled", "committed"} {
		victim := s.process(func(cfg *shop.Config) { dispatcherOnly(cfg); cfg.Name = point }, "outbox."+point+"=kill:1")
		// Until the victim has had its batch.
		s.eventually(point+": the dispatcher is killed", func() error {
			s.place(50, shop.Plan{})
			return victim.Wait(100 * time.Millisecond)
		})
		if !victim.Killed() {
			t.Fatalf("the dispatcher was not killed at %s:\n%s", point, victim.Log())
		}
	}
	audit := s.settled()
	s.uncharged()
	// Two lanes of 20 can be published and not recorded, three times.
	s.atMost("copies", audit.DuplicateRuns, 4*40)
	if !survivor.Running() {
		t.Error("the other dispatcher has not survived")
	}
	t.Logf("%+v", audit)
}

// A dispatcher is frozen with a batch in its hands, for longer than its session
// may idle: PostgreSQL gives the rows back, another dispatcher carries them, a
// worker finishes them. Then the sleeper wakes up, and believes that the batch
// is its own.
func TestFrozenDispatcher(t *testing.T) {
	t.Parallel()
	for _, point := range []string{"claimed", "published"} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, func(cfg *shop.Config) { cfg.Wire = 2500 * time.Millisecond })
			s.place(150, shop.Plan{})
			sleeper := s.process(dispatcherOnly, "outbox."+point+"=stop:1")
			s.must("the dispatcher is frozen", sleeper.Frozen(s.ctx))
			frozen := time.Now()
			held := s.lockedRows()
			s.atLeast("rows that the frozen dispatcher has locked", held, 100)
			other := s.process(func(cfg *shop.Config) { dispatcherOnly(cfg); cfg.Name = "other" })
			s.process(workerOnly)
			s.settled()
			freed := time.Since(frozen)
			if freed < 2*time.Second {
				t.Errorf("the rows were free after %v: the freeze was too short to mean anything", freed)
			}
			books := s.books()

			s.must("thaw the dispatcher", sleeper.Thaw())
			s.logged(sleeper.Log, "dispatcher: batches fail")
			other.Kill() // from here on only the sleeper carries
			s.place(50, shop.Plan{})
			audit := s.settled()
			runs := s.count(`SELECT count(*) FROM shop_runs`)
			// A handler that calls Complete while its row is still locked waits for
			// it in vain, and is not charged for that.
			s.uncharged()
			if point == "published" {
				s.atLeast("runs, those of copies included", runs, audit.Jobs+1)
			}
			s.exec(`DELETE FROM ackbox_jobs WHERE id IN (SELECT job FROM shop_expected WHERE order_id LIKE 'order2-%')`)
			if s.books() != books {
				t.Error("rows that were done have been changed by a dispatcher that had lost them")
			}
			t.Logf("%+v, runs: %d, %d rows were held, all done %v after the freeze", audit, runs, held, freed.Round(time.Millisecond))
		})
	}
}
