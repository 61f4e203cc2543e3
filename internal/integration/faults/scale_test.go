//go:build unix

package faults_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/internal/integration/shop"
	"github.com/ackbox/ackbox/outbox"
)

// A hundred thousand jobs wait for a slow worker, for several times StuckAfter,
// while two instances sweep. Waiting is not lost: not one is sent again.
func TestLongQueueIsNotLost(t *testing.T) {
	const jobs, stuckAfter = 100_000, 3 * time.Second
	s := newStage(t, func(cfg *shop.Config) { cfg.StuckAfter, cfg.Batch, cfg.Concurrency = stuckAfter, 2000, 2 })
	s.alter(`SET synchronous_commit = off`) // of no interest here, and quicker
	s.fresh()
	s.placeMany(jobs, 200*time.Millisecond)
	began := time.Now()
	carrier := s.process(dispatcherOnly)
	w := s.run(workerOnly)
	s.reaches(1, `SELECT count(*) FROM ackbox_jobs WHERE state = 'done'`)
	s.eventually("all are sent", func() error {
		return s.none(`SELECT count(*) FROM ackbox_jobs WHERE state = 'pending'`)
	})
	carried := time.Since(began)
	if strings.Contains(carrier.Log(), "outbox: claim") {
		t.Error("a claim has failed, with all the jobs of a long queue to choose from")
	}
	// One more that sweeps, and would publish what the sweeps make pending.
	second := s.run(dispatcherOnly, func(cfg *shop.Config) { cfg.Name = "second" })
	s.wait(4 * stuckAfter)

	old := s.count(`SELECT count(*) FROM ackbox_jobs WHERE state = 'sent' AND sent_at < now() - ? * interval '1 second'`, stuckAfter.Seconds())
	s.atLeast("sent jobs older than StuckAfter", old, jobs/2)
	audit, err := shop.Take(s.ctx, s.db)
	s.must("audit", err)
	s.equal("copies sent again", audit.Resent, 0)
	s.equal("runs of copies", audit.DuplicateRuns, 0)
	s.equal("jobs published by the second dispatcher", int(second.Dispatcher.Stats().Sent), 0)
	s.equal("jobs lost, invented or done twice", audit.Lost+audit.Phantoms+audit.DuplicateEffects, 0)
	s.atLeast("jobs waiting in the queue", s.queued(), jobs*9/10)
	s.uncharged()
	counts, err := s.app.Store.Counts(s.ctx)
	s.must("count", err)
	t.Logf("%+v, carried in %v, %d older than StuckAfter, %v", audit, carried.Round(time.Millisecond), old, counts)

	// It need not drain. What the instances may do to the rest is of no interest.
	carrier.Kill()
	second.end()
	w.end()
	s.equal("unfinished jobs that are neither sent nor done", counts[ackbox.Pending]+counts[ackbox.Nacked]+counts[ackbox.Dead], 0)
}

// placeMany commits n orders in one statement.
func (s *stage) placeMany(n int, work time.Duration) {
	s.t.Helper()
	s.exec(`WITH made AS (
		INSERT INTO ackbox_jobs (id, kind, queue, exchange, routing_key, mandatory, payload, max_attempts)
		SELECT gen_random_uuid(), 'shop.charge', 'shop', '', 'shop', true, convert_to(?, 'UTF8'), 1000
		FROM generate_series(1, ?) RETURNING id)
		INSERT INTO shop_expected (job, order_id, kind, final) SELECT id, 'many', 'shop.charge', 'done' FROM made`,
		fmt.Sprintf(`{"order":"many","work":%d}`, work), n)
}

// A backlog has grown faster than statistics are gathered: PostgreSQL believes
// that next to nothing is due, or knows nothing. A batch must not read all of it.
func TestBatchReadsNoMoreThanItTakes(t *testing.T) {
	const jobs, batch = 50_000, 100
	for _, statistics := range []string{"none", "of an idle table"} {
		t.Run(strings.ReplaceAll(statistics, " ", "_"), func(t *testing.T) {
			s := newStage(t)
			s.exec(`ALTER TABLE ackbox_jobs SET (autovacuum_enabled = off)`)
			if statistics != "none" {
				s.place(500, shop.Plan{})
				s.exec(`UPDATE ackbox_jobs SET state = 'done', sent_at = now(), finished_at = now()`)
				s.exec(`ANALYZE ackbox_jobs`)
			}
			s.placeMany(jobs, 0)
			s.exec(`SELECT pg_stat_force_next_flush()`)
			before := s.count(rowsRead)
			app, err := shop.Open(s.cfg)
			s.must("open an instance", err)
			var holdings []core.Holding
			n, err := app.Store.Relay(s.ctx, core.Claim{Limit: batch}, func(_ context.Context, claimed []ackbox.Job) []core.Transition {
				transitions := make([]core.Transition, len(claimed))
				for i, job := range claimed {
					holdings = append(holdings, core.Holding{ID: job.ID, Attempt: job.Attempt, Resend: job.Resend, Running: time.Second})
					transitions[i] = core.Transition{ID: job.ID, Attempt: job.Attempt, To: ackbox.Sent}
				}
				return transitions
			})
			s.must("relay", err)
			s.equal("jobs claimed", n, batch)
			s.must("close the instance", app.Close()) // a session tells its numbers when it ends
			s.reaches(before+2*batch, rowsRead)       // once to claim, once to mark
			s.atMost("rows read to claim and to mark", s.count(rowsRead)-before, 10*batch)

			// All the rest is sent, and a worker has these.
			s.exec(`UPDATE ackbox_jobs SET state = 'sent', sent_at = now(), seen_at = now() WHERE state = 'pending'`)
			s.exec(`SELECT pg_stat_force_next_flush()`)
			before = s.count(rowsRead)
			app, err = shop.Open(s.cfg)
			s.must("open an instance", err)
			self := core.Instance{ID: outbox.NewID(), Role: core.RoleWorker}
			_, err = app.Store.Beat(s.ctx, self)
			s.must("say that there is a worker", err)
			_, err = app.Store.Hold(s.ctx, self.ID, holdings)
			s.must("put on record who has them", err)
			s.must("close the instance", app.Close())
			s.reaches(before+batch, rowsRead)
			s.atMost("rows read to put on record who has them", s.count(rowsRead)-before, 10*batch)
		})
	}
}

const rowsRead = `SELECT coalesce(idx_tup_fetch, 0) + seq_tup_read FROM pg_stat_user_tables WHERE relname = 'ackbox_jobs'`
