//go:build unix

package faults_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ackbox/ackbox/internal/integration/shop"
	"github.com/ackbox/ackbox/internal/testenv"
)

// The clocks of application and database are an hour apart. Times are the
// database's and intervals are not told by comparing two clocks, so delays,
// retries, the search for lost jobs and the purge work as ever.
//
// Nobody's clock is set: the test's database has functions of its own that tell
// the time, found before PostgreSQL's.
func TestClocksAnHourApart(t *testing.T) {
	t.Parallel()
	for name, offset := range map[string]time.Duration{"database ahead": time.Hour, "database behind": -time.Hour} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.shiftClock(offset)

			// Lost: the queue is deleted with what was in it.
			d := s.run(dispatcherOnly)
			s.place(20, shop.Plan{})
			s.reaches(20, `SELECT count(*) FROM ackbox_jobs WHERE state = 'sent'`)
			lost := time.Now()
			testenv.Rabbit(t).DeleteQueue(shop.Queue)
			w := s.run(workerOnly)

			const delay = 2 * time.Second
			placed := time.Now()
			s.must("place a delayed order", s.placeOne(shop.Order{ID: "delayed", Charges: make([]shop.Plan, 10), Delay: delay}, 0))
			s.place(10, shop.Plan{FailFirst: 2})
			s.place(50, shop.Plan{})
			const delayed = `FROM ackbox_jobs WHERE id IN (SELECT job FROM shop_expected WHERE order_id = 'delayed')`
			s.reaches(50, `SELECT count(*) FROM ackbox_jobs WHERE state = 'done'`)
			s.reaches(10, `SELECT count(*) `+delayed+` AND state = 'done'`)
			if waited := time.Since(placed); waited < delay || waited > delay+20*time.Second {
				t.Errorf("jobs delayed by %v were done after %v", delay, waited)
			}
			s.equal("delayed jobs that were sent too soon", s.count(`SELECT count(*) `+delayed+` AND sent_at < created_at + interval '1990 ms'`), 0)

			audit := s.settled()
			found := time.Since(lost)
			s.equal("jobs found lost", s.count(`SELECT count(*) FROM ackbox_jobs WHERE resend > 0`), 20)
			s.equal("copies of jobs that were not lost", audit.Resent, 20)
			s.equal("runs of copies", audit.DuplicateRuns, 0)
			s.equal("tries charged", s.count(`SELECT sum(attempt - 1) FROM ackbox_jobs`), 20)
			s.equal("rows with the database's time", s.count(`SELECT count(*) FROM ackbox_jobs
				WHERE abs(extract(epoch FROM finished_at - pg_catalog.now()) - ?) < 600`, offset.Seconds()), audit.Jobs)

			purge := func(after time.Duration) int {
				queues, err := s.app.Store.FinishedQueues(s.ctx)
				s.must("list the queues of finished jobs", err)
				total, err := s.app.Store.PurgeDead(s.ctx, after, 1000)
				s.must("purge", err)
				for _, queue := range queues {
					n, err := s.app.Store.Purge(s.ctx, queue, after, 1000)
					s.must("purge", err)
					total += n
				}
				return total
			}
			s.equal("rows purged before their time", purge(30*time.Minute), 0)
			s.eventually("every row is purged", func() error {
				purge(time.Second)
				return s.none(`SELECT count(*) FROM ackbox_jobs`)
			})
			t.Logf("%+v, lost jobs done after %v, dispatcher: %+v, worker: %+v", audit, found.Round(time.Millisecond), d.Dispatcher.Stats(), w.Worker.Stats())
		})
	}
}

// shiftClock has the database tell another time to everybody who asks from now
// on, app included.
func (s *stage) shiftClock(offset time.Duration) {
	s.t.Helper()
	s.exec(`CREATE SCHEMA shadow`)
	for name, volatility := range map[string]string{
		"now": "STABLE", "transaction_timestamp": "STABLE", "statement_timestamp": "STABLE", "clock_timestamp": "VOLATILE",
	} {
		s.exec(fmt.Sprintf(`CREATE FUNCTION shadow.%[1]s() RETURNS timestamptz LANGUAGE sql %[2]s PARALLEL SAFE
			AS 'SELECT pg_catalog.%[1]s() + interval ''%[3]d seconds'''`, name, volatility, int(offset.Seconds())))
	}
	s.alter(`SET search_path = shadow, pg_catalog, public`)
	s.fresh()
	s.equal("seconds between the clocks", s.count(`SELECT round(extract(epoch FROM now() - pg_catalog.now()))`), int(offset.Seconds()))
	s.equal("seconds between the clocks", s.count(`SELECT round(extract(epoch FROM clock_timestamp() - pg_catalog.clock_timestamp()))`), int(offset.Seconds()))
}
