package outbox_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/outbox"
)

// handling is the context of the handler of a message without a row.
func handling(ctx context.Context, id string, round int, cause error) context.Context {
	return ackbox.WithRun(ctx, ackbox.Run{Job: ackbox.Job{ID: id, Queue: "orders", Attempt: round + 1, AttemptsBefore: round}, Cause: cause})
}

// entering asks whether somebody waits to enter a message in the inbox.
const entering = `SELECT count(*) > 0 FROM pg_stat_activity
	WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE 'INSERT INTO%_inbox%'`

// An entry that could not be made in time, for whatever reason the database gives, is no
// failure of the message, and nothing of the transaction stays.
func TestInboxIsBusy(t *testing.T) {
	t.Parallel()
	db, s := store(t, outbox.Config{StatementTimeout: 100 * time.Millisecond, WireTimeout: 200 * time.Millisecond})
	run(t, db, "CREATE TABLE effects (n int)", "CREATE TABLE accounts (n int)", "INSERT INTO accounts VALUES (1)")
	for name, tt := range map[string]struct {
		first   string // in the handler's transaction
		state   string // SQLSTATE, of the database's own refusals
		between func(t *testing.T, other *gorm.DB)
	}{
		"our deadline":      {"SELECT 1", "", nil},
		"lock_timeout":      {"SET LOCAL lock_timeout = '20ms'", "55P03", nil},
		"statement_timeout": {"SET LOCAL statement_timeout = '20ms'", "57014", nil},
		"deadlock": {"SET LOCAL deadlock_timeout = '20ms'; UPDATE accounts SET n = 2", "40P01", func(t *testing.T, other *gorm.DB) {
			t.Helper()
			waits := make(chan error, 1)
			go func() { waits <- other.Exec("UPDATE accounts SET n = 3").Error }()
			t.Cleanup(func() {
				if err := <-waits; err != nil {
					t.Error(err)
				}
			})
			untilTrue(t.Context(), t, db, `SELECT count(*) > 0 FROM pg_stat_activity
				WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE 'UPDATE accounts%'`)
		}},
		"a snapshot": {"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM ackbox_jobs_inbox", "40001", func(t *testing.T, other *gorm.DB) {
			t.Helper()
			run(t, other, "COMMIT")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			other := db.Begin() // another copy's
			defer other.Rollback()
			if err := s.Complete(handling(t.Context(), name, 0, nil), other); err != nil {
				t.Fatal(err)
			}
			err := db.Transaction(func(tx *gorm.DB) error {
				run(t, tx, strings.Split(tt.first, "; ")...)
				if tt.between != nil {
					tt.between(t, other)
				}
				run(t, tx, "INSERT INTO effects VALUES (1)")
				return outbox.Complete(handling(t.Context(), name, 0, nil), tx)
			})
			if !errors.Is(err, ackbox.ErrBusy) || errors.Is(err, ackbox.ErrSuperseded) || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), tt.state) {
				t.Errorf("Complete: %v, want ErrBusy and %q", err, tt.state)
			}
		})
	}
	if n := effects(t, db, "true"); n != 0 {
		t.Errorf("%d effects of what could not be entered", n)
	}
	// The handler's own end is no lock that could not be had.
	other := db.Begin()
	defer other.Rollback()
	if err := s.Complete(handling(t.Context(), "late", 0, nil), other); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(handling(t.Context(), "late", 0, nil), 50*time.Millisecond)
	defer cancel()
	err := db.Transaction(func(tx *gorm.DB) error { return outbox.Complete(ctx, tx) })
	if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ackbox.ErrBusy) {
		t.Errorf("Complete after the handler's time was over: %v", err)
	}
}

// effects counts the effects that are.
func effects(t *testing.T, db *gorm.DB, where string) (n int) {
	t.Helper()
	if err := db.Raw("SELECT count(*) FROM effects WHERE " + where).Scan(&n).Error; err != nil {
		t.Fatal(err)
	}
	return n
}

// A copy waits for what becomes of the one before it, and has the effect if that has none.
func TestInboxWaitsForAnotherCopy(t *testing.T) {
	t.Parallel()
	db, s := store(t, outbox.Config{StatementTimeout: time.Minute})
	run(t, db, "CREATE TABLE effects (of text)")
	for name, tt := range map[string]struct {
		level  string
		commit bool
		want   error
		total  int
	}{
		"committed":                    {"READ COMMITTED", true, ackbox.ErrSuperseded, 1},
		"rolled back":                  {"READ COMMITTED", false, nil, 1},
		"committed, REPEATABLE READ":   {"REPEATABLE READ", true, ackbox.ErrBusy, 1},
		"rolled back, REPEATABLE READ": {"REPEATABLE READ", false, nil, 1},
		"committed, SERIALIZABLE":      {"SERIALIZABLE", true, ackbox.ErrBusy, 1},
		"rolled back, SERIALIZABLE":    {"SERIALIZABLE", false, nil, 1},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := contextWithin(t, time.Minute)
			effect := func(tx *gorm.DB) error {
				return errors.Join(tx.Exec("INSERT INTO effects VALUES (?)", name).Error, s.Complete(handling(ctx, name, 0, nil), tx))
			}
			first := db.Begin()
			defer first.Rollback()
			if err := effect(first); err != nil {
				t.Fatal(err)
			}
			second := make(chan error, 1)
			go func() {
				second <- db.Transaction(func(tx *gorm.DB) error {
					return errors.Join(tx.Exec("SET TRANSACTION ISOLATION LEVEL "+tt.level).Error, effect(tx))
				})
			}()
			untilTrue(ctx, t, db, entering)
			if tt.commit {
				run(t, first, "COMMIT")
			} else {
				run(t, first, "ROLLBACK")
			}
			if err := <-second; !errors.Is(err, tt.want) {
				t.Errorf("the second copy: %v, want %v", err, tt.want)
			}
			if n := effects(t, db, "of = '"+name+"'"); n != tt.total {
				t.Errorf("%d effects, want %d", n, tt.total)
			}
		})
	}
}

// A message costs its handler's transaction one statement, as a job with a row does, and
// none before it; a copy costs one more.
func TestCompleteIsOneStatement(t *testing.T) {
	t.Parallel()
	db, s, r := recorded(t, outbox.Config{})
	job := oneSent(t, db, s)
	cause := errors.New("no")
	for _, tt := range []struct {
		name       string
		ctx        context.Context
		want       error
		statements int
	}{
		{"a job", ackbox.WithRun(t.Context(), ackbox.Run{Job: job}), nil, 1},
		{"a message", handling(t.Context(), "m", 0, nil), nil, 1},
		{"given up", handling(t.Context(), "n", 0, cause), nil, 1},
		{"a copy", handling(t.Context(), "m", 0, nil), ackbox.ErrSuperseded, 2},
		{"given up already", handling(t.Context(), "n", 0, cause), ackbox.ErrSuperseded, 2},
		{"a later round", handling(t.Context(), "n", 1, nil), nil, 1},
	} {
		var err error
		queries := r.during(func() {
			err = db.Transaction(func(tx *gorm.DB) error { return outbox.Complete(tt.ctx, tx) })
		})
		if !errors.Is(err, tt.want) || len(queries) != tt.statements {
			t.Errorf("%s: %v after %d statements; want %v after %d", tt.name, err, len(queries), tt.want, tt.statements)
		}
	}
}

// However large the inbox is, an entry is found by its key, and a purge reads what it
// deletes, along its index.
func TestInboxPlans(t *testing.T) {
	t.Parallel()
	db, s, r := recorded(t, outbox.Config{})
	run(t, db, `INSERT INTO ackbox_jobs_inbox (queue, id, round, dead, finished_at)
		SELECT 'orders', n::text, 0, n % 10 = 0, now() - n * interval '1 second' FROM generate_series(1, 50000) AS n`, "VACUUM ANALYZE ackbox_jobs_inbox")
	for name, tt := range map[string]struct {
		call  func() error
		index string
	}{
		"a copy": {func() error {
			_, err := s.Received(t.Context(), ackbox.Job{ID: "77", Queue: "orders"})
			return err
		}, "ackbox_jobs_inbox_pkey"},
		"purge": {func() error {
			n, err := s.PurgeInbox(t.Context(), time.Hour, 100)
			if n != 100 {
				t.Errorf("purged %d, want 100", n)
			}
			return err
		}, "ackbox_jobs_inbox_finished"},
	} {
		queries := r.during(func() {
			if err := tt.call(); err != nil {
				t.Error(err)
			}
		})
		if len(queries) != 1 {
			t.Fatalf("%s: %d statements", name, len(queries))
		}
		for mode, plan := range explain(t, db, queries[0]) {
			if !strings.Contains(plan, tt.index) || strings.Contains(plan, "Seq Scan on ackbox") || strings.Contains(plan, "Sort") || strings.Contains(plan, "Join") {
				t.Errorf("%s, %s:\n%s\n%s", name, mode, queries[0].SQL, plan)
			}
		}
	}
}

// While a long transaction keeps entries that were deleted in the index, and these are
// more than can be read in time, a purge still finds what there is, young or old.
func TestInboxPurgeBesideALongTransaction(t *testing.T) {
	t.Parallel()
	db, patient := store(t, outbox.Config{})
	long := db.Begin()
	defer long.Rollback()
	run(t, long, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "SELECT count(*) FROM ackbox_jobs_inbox")
	const enter = `INSERT INTO ackbox_jobs_inbox (queue, id, round, dead, finished_at)
		SELECT 'orders', gen_random_uuid()::text, 0, false, now() - age * interval '1 second' FROM `
	run(t, db, enter+"generate_series(1, 300000) AS age", "DELETE FROM ackbox_jobs_inbox", "ANALYZE ackbox_jobs_inbox")
	began := time.Now()
	if n, err := patient.PurgeInbox(t.Context(), 0, 100); n != 0 || err != nil {
		t.Fatalf("purged %d of nothing, %v", n, err)
	}
	took := time.Since(began)
	short := anotherStore(t, max(took/4, 10*time.Millisecond))
	run(t, db, enter+"unnest(ARRAY[1, 150000, 600000]) AS age")
	failed := 0
	for n, began := 0, time.Now(); n < 3; {
		did, err := short.PurgeInbox(t.Context(), 0, 100)
		n += did
		switch {
		case err != nil && strings.Contains(err.Error(), "57014"):
			failed++
		case err != nil:
			t.Fatal(err)
		}
		if time.Since(began) > time.Minute {
			t.Fatalf("%d of 3 were found in a minute, with %d failures; all is read in %v", n, failed, took)
		}
	}
	t.Logf("all is read in %v; a quarter of it was enough, after %d failures", took, failed)
}
