package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/outbox"
)

// crowd writes 12,000 jobs of each state.
func crowd(t *testing.T, db *gorm.DB) {
	t.Helper()
	run(t, db, `INSERT INTO ackbox_jobs (id, kind, key, queue, exchange, routing_key, mandatory, payload, max_attempts, state, due_at, sent_at, seen_at, finished_at, last_error)
		SELECT gen_random_uuid(), 'k' || n % 3, 'order:' || n % 4000, 'q' || n % 5, '', 'q', true, '{}', 9, state, now() + interval '1 second' * (n % 3 - 1),
			now(), now() - n * interval '1 second', CASE WHEN state IN ('done', 'dead', 'cancelled') THEN now() - n * interval '1 second' END,
			CASE WHEN state = 'dead' THEN 'no such order: ' || n % 40 || E'\nat line 7' END
		FROM generate_series(1, 12000) AS n, unnest(ARRAY['pending', 'nacked', 'refused', 'sent', 'done', 'dead', 'cancelled']) AS state`,
		"VACUUM ANALYZE ackbox_jobs")
}

// A page costs what it shows, and no more rows are looked at than is promised where few
// match; however long the list is, and whatever statistics say.
func TestListsReadWhatTheyShow(t *testing.T) {
	t.Parallel()
	db, s, r := recorded(t, outbox.Config{Queues: []string{"q0", "q1", "q2", "q3", "q4"}})
	crowd(t, db)
	for i, statistics := range []string{"right", "that there is nothing"} {
		if i > 0 {
			run(t, db, "UPDATE pg_class SET reltuples = 1, relpages = 1 WHERE oid = 'ackbox_jobs'::regclass OR relname LIKE 'ackbox_jobs_%'")
		}
		for _, state := range ackbox.States() {
			for name, call := range map[string]func() (int, error){
				"List": func() (int, error) {
					page, err := s.List(t.Context(), outbox.Filter{State: state}, "", 50)
					if len(page.Entries) != 50 || page.Next == "" || page.Searched > 110 {
						t.Errorf("%s: %d jobs, %d searched, next %q", state, len(page.Entries), page.Searched, page.Next)
					}
					return 700, err
				},
				"List of a queue and a kind": func() (int, error) {
					page, err := s.List(t.Context(), outbox.Filter{State: state, Queue: "q3", Kind: "k1"}, "", 50)
					if len(page.Entries) != 50 || page.Searched > 900 {
						t.Errorf("%s: %d jobs, %d searched", state, len(page.Entries), page.Searched)
					}
					return 1500, err
				},
				"Count": func() (int, error) {
					n, err := s.Count(t.Context(), outbox.Filter{State: state})
					if n != (outbox.Count{N: 10_000, More: true}) && state != ackbox.Done {
						t.Errorf("%s: counted %+v", state, n)
					}
					return 700, err // an index alone tells it; but for done, whose index has others
				},
			} {
				if name == "Count" && (state == ackbox.Done || i > 0) {
					continue
				}
				touched, most := 0, 0
				for _, q := range r.during(func() {
					var err error
					if most, err = call(); err != nil {
						t.Errorf("%s %s: %v", name, state, err)
					}
				}) {
					err := db.Transaction(func(tx *gorm.DB) error {
						run(t, tx, "SET LOCAL enable_seqscan = off", "SET LOCAL enable_bitmapscan = off", "SET LOCAL jit = off")
						touched += pages(strings.Join(analyze(t, tx, q), "\n"))
						return nil
					})
					if err != nil {
						t.Error(err)
					}
				}
				if touched == 0 || touched > most {
					t.Errorf("statistics say %s: %s %s touched %d pages, want at most %d", statistics, name, state, touched, most)
				}
			}
		}
	}
}

// A call looks at 10,000 rows at most, says so, and the next one goes on behind them.
func TestListsSearchInSteps(t *testing.T) {
	t.Parallel()
	db, s, _ := recorded(t, outbox.Config{})
	crowd(t, db)
	for _, f := range []outbox.Filter{
		{State: ackbox.Dead, Error: "No Such Order: 39\n"},
		{State: ackbox.Pending, Kind: "k1"},
		{State: ackbox.Done, Kind: "none"},
		{Kind: "none"},
		{State: ackbox.Nacked, Queue: "q2", Kind: "none"},
	} {
		var ids []string
		after, searched, calls := "", 0, 0
		for calls < 100 {
			page, err := s.List(t.Context(), f, after, 1000)
			if err != nil {
				t.Fatal(err)
			}
			if calls++; page.Searched > 10_000 {
				t.Errorf("%+v: a call has looked at %d rows", f, page.Searched)
			}
			searched += page.Searched
			for _, e := range page.Entries {
				ids = append(ids, e.ID)
			}
			if after = page.Next; after == "" {
				break
			}
		}
		want := 0
		if f.Kind != "none" {
			var n int64
			query := db.Table("ackbox_jobs").Where("state = ?", f.State)
			if f.Kind != "" {
				query = query.Where("kind = ?", f.Kind)
			} else {
				query = query.Where("last_error LIKE ?", "no such order: 39\n%")
			}
			if err := query.Count(&n).Error; err != nil {
				t.Fatal(err)
			}
			want = int(n)
		}
		slices.Sort(ids)
		if len(slices.Compact(ids)) != want || calls < 2 && f.Queue == "" || calls > 12 {
			t.Errorf("%+v: %d of %d found by %d calls that looked at %d rows", f, len(ids), want, calls, searched)
		}
	}
	// What is counted beyond that is said to be more.
	if n, err := s.Count(t.Context(), outbox.Filter{State: ackbox.Dead, Kind: "none"}); err != nil || n != (outbox.Count{More: true}) {
		t.Errorf("counted %+v, %v: want 0 of the 10,000 that were looked at", n, err)
	}
	groups, all, err := s.GivenUp(t.Context(), outbox.Filter{})
	if err != nil || all != 10_000 || len(groups) != 120 {
		t.Errorf("%d in %d groups, %v", all, len(groups), err)
	}
}

// What people look up ends after two seconds, and says how it would be quicker.
func TestLookIsSlow(t *testing.T) {
	t.Parallel()
	db, s, _ := recorded(t, outbox.Config{StatementTimeout: time.Minute, WireTimeout: time.Minute})
	if _, err := s.Identity(t.Context()); err != nil {
		t.Fatal(err)
	}
	err := db.Transaction(func(tx *gorm.DB) error {
		run(t, tx, "LOCK TABLE ackbox_jobs IN ACCESS EXCLUSIVE MODE")
		for name, call := range map[string]func(context.Context) error{
			"List":        func(ctx context.Context) error { _, err := s.List(ctx, outbox.Filter{}, "", 1); return err },
			"Count":       func(ctx context.Context) error { _, err := s.Count(ctx, outbox.Filter{}); return err },
			"GivenUp":     func(ctx context.Context) error { _, _, err := s.GivenUp(ctx, outbox.Filter{}); return err },
			"QueueStatus": func(ctx context.Context) error { _, err := s.QueueStatus(ctx); return err },
			"Get":         func(ctx context.Context) error { _, err := s.Get(ctx, outbox.NewID()); return err },
		} {
			began := time.Now()
			err := call(t.Context())
			if took := time.Since(began); !errors.Is(err, outbox.ErrSlow) || took < 1900*time.Millisecond || took > 20*time.Second {
				t.Errorf("%s: %v after %v", name, err, took)
			}
		}
		// A caller who has gone is not told that it was slow.
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if _, err := s.List(ctx, outbox.Filter{}, "", 1); errors.Is(err, outbox.ErrSlow) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the caller's own deadline: %v", err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	// Nothing that is looked up can write.
	if _, err := s.List(t.Context(), outbox.Filter{}, "", 1); err != nil {
		t.Error(fmt.Errorf("afterwards: %w", err))
	}
}
