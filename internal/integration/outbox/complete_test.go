package outbox_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/outbox"
)

// oneSent makes a sent job.
func oneSent(t *testing.T, db *gorm.DB, s *outbox.Store) ackbox.Job {
	t.Helper()
	enqueue(t, db, 1)
	var job ackbox.Job
	_, err := s.Relay(t.Context(), core.Claim{Limit: 1}, func(_ context.Context, jobs []ackbox.Job) []core.Transition {
		job = jobs[0]
		return allSent(jobs)
	})
	if err != nil || job.ID == "" {
		t.Fatalf("relayed %+v, %v", job, err)
	}
	return job
}

// locked runs during while another transaction has the job's row locked.
func locked(t *testing.T, db *gorm.DB, job ackbox.Job, during func(other *gorm.DB)) {
	t.Helper()
	other := db.Begin()
	defer other.Rollback()
	run(t, other, "SELECT 1 FROM ackbox_jobs WHERE id = '"+job.ID+"' FOR NO KEY UPDATE")
	during(other)
}

// A row that could not be had in time, for whatever reason the database gives, is no
// failure of the job: Complete says so, and nothing of the transaction stays.
func TestCompleteIsBusy(t *testing.T) {
	t.Parallel()
	db, s := store(t, outbox.Config{StatementTimeout: 100 * time.Millisecond, WireTimeout: 200 * time.Millisecond})
	run(t, db, "CREATE TABLE effects (n int)", "INSERT INTO effects VALUES (1)")
	for name, tt := range map[string]struct {
		first   string // in the handler's transaction
		state   string // SQLSTATE, of the database's own refusals
		between func(t *testing.T, job ackbox.Job, other *gorm.DB)
	}{
		"our deadline":      {"SELECT 1", "", nil},
		"lock_timeout":      {"SET LOCAL lock_timeout = '20ms'", "55P03", nil},
		"statement_timeout": {"SET LOCAL statement_timeout = '20ms'", "57014", nil},
		"deadlock": {"SET LOCAL deadlock_timeout = '20ms'; UPDATE effects SET n = 2", "40P01", func(t *testing.T, _ ackbox.Job, other *gorm.DB) {
			t.Helper()
			waits := make(chan error, 1)
			go func() { waits <- other.Exec("UPDATE effects SET n = 3").Error }()
			t.Cleanup(func() {
				if err := <-waits; err != nil {
					t.Error(err)
				}
			})
			untilTrue(t.Context(), t, db, `SELECT count(*) > 0 FROM pg_stat_activity
				WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE 'UPDATE effects%'`)
		}},
		"a snapshot": {"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM ackbox_jobs", "40001", func(t *testing.T, job ackbox.Job, other *gorm.DB) {
			t.Helper()
			run(t, other, "UPDATE ackbox_jobs SET seen_at = now() WHERE id = '"+job.ID+"'", "COMMIT")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			job := oneSent(t, db, s)
			ctx := ackbox.WithRun(t.Context(), ackbox.Run{Job: job})
			locked(t, db, job, func(other *gorm.DB) {
				err := db.Transaction(func(tx *gorm.DB) error {
					run(t, tx, strings.Split(tt.first, "; ")...)
					if tt.between != nil {
						tt.between(t, job, other)
					}
					return outbox.Complete(ctx, tx)
				})
				if !errors.Is(err, ackbox.ErrBusy) || errors.Is(err, ackbox.ErrSuperseded) || !strings.Contains(err.Error(), job.ID) || !strings.Contains(err.Error(), tt.state) {
					t.Errorf("Complete: %v, want ErrBusy and %q", err, tt.state)
				}
			})
			if got, err := s.Get(t.Context(), job.ID); err != nil || got.State != ackbox.Sent {
				t.Errorf("%+v, %v; want it sent still", got, err)
			}
		})
	}
	if n := countOf(t, db, "state = 'done'"); n != 0 {
		t.Errorf("%d jobs are done", n)
	}
	// The handler's own end is no lock that could not be had.
	job := oneSent(t, db, s)
	ctx, cancel := context.WithTimeout(ackbox.WithRun(t.Context(), ackbox.Run{Job: job}), 50*time.Millisecond)
	defer cancel()
	locked(t, db, job, func(*gorm.DB) {
		err := db.Transaction(func(tx *gorm.DB) error { return outbox.Complete(ctx, tx) })
		if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ackbox.ErrBusy) {
			t.Errorf("Complete after the handler's time was over: %v", err)
		}
	})
}

// A destination that gives no answer keeps the rows of a batch locked for WireTimeout:
// its neighbours' handlers wait for that, they do not roll back.
func TestCompleteOutlastsAStalledDestination(t *testing.T) {
	t.Parallel()
	db, s := store(t, outbox.Config{StatementTimeout: 300 * time.Millisecond, WireTimeout: 5 * time.Second})
	job := oneSent(t, db, s)
	ctx := ackbox.WithRun(t.Context(), ackbox.Run{Job: job})
	completed := make(chan error, 1)
	locked(t, db, job, func(*gorm.DB) {
		go func() { completed <- db.Transaction(func(tx *gorm.DB) error { return outbox.Complete(ctx, tx) }) }()
		untilTrue(contextWithin(t, 20*time.Second), t, db, `SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = current_database()
			AND wait_event_type = 'Lock' AND query LIKE 'UPDATE%done%' AND query_start < now() - interval '1 second'`)
	})
	if err := <-completed; err != nil {
		t.Errorf("Complete: %v", err)
	}
	if got, err := s.Get(t.Context(), job.ID); err != nil || got.State != ackbox.Done {
		t.Errorf("%+v, %v; want it done", got, err)
	}
}
