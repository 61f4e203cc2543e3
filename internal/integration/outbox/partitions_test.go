package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gorm.io/driver/postgres"
	"gorm.io/gorm"

	"github.com/ackbox/ackbox/internal/testenv"
	"github.com/ackbox/ackbox/outbox"
)

const day = 24 * time.Hour

// today is the first moment of this day.
func today() time.Time { return time.Now().UTC().Truncate(day) }

// idOf is an id as a job of that moment has, by its number.
func idOf(at time.Time, n int) string {
	ms := at.UnixMilli()
	return fmt.Sprintf("%08x-%04x-7000-8000-%012x", ms>>16, ms&0xffff, n)
}

// bounds is a clause for the partition of a day.
func bounds(first time.Time) string {
	least := func(at time.Time) string { return idOf(at, 0)[:13] + "-0000-0000-000000000000" }
	return " FOR VALUES FROM ('" + least(first) + "') TO ('" + least(first.Add(day)) + "')"
}

// partitioned returns a Store with a partition for today and the days ago.
func partitioned(t *testing.T, ago ...int) (*gorm.DB, *outbox.Store) {
	t.Helper()
	db, s := store(t, outbox.Config{Partitioned: true})
	for _, n := range ago {
		first := today().AddDate(0, 0, -n)
		run(t, db, "CREATE TABLE "+nameOf(n)+" PARTITION OF ackbox_jobs"+bounds(first))
	}
	return db, s
}

// nameOf is the partition of the day so many days ago.
func nameOf(ago int) string {
	return "ackbox_jobs_p" + today().AddDate(0, 0, -ago).Format("20060102")
}

// partitions lists the partitions of the table, without the default one.
func partitions(t *testing.T, db *gorm.DB) []string {
	t.Helper()
	var names []string
	err := db.Raw(`SELECT c.relname FROM pg_inherits JOIN pg_class AS c ON c.oid = inhrelid
		WHERE inhparent = 'ackbox_jobs'::regclass AND c.relname <> 'ackbox_jobs_default' ORDER BY 1`).Scan(&names).Error
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// put writes a job of a day into the table and, if set says so, changes it.
func put(t *testing.T, db *gorm.DB, ago, n int, set string) string {
	t.Helper()
	id := idOf(today().AddDate(0, 0, -ago), n)
	err := db.Transaction(func(tx *gorm.DB) error {
		return outbox.Enqueue(t.Context(), tx, work{n}, outbox.ID(id), outbox.Header("h", "v"))
	})
	if err != nil {
		t.Fatal(err)
	}
	if set != "" {
		run(t, db, "UPDATE ackbox_jobs SET "+set+" WHERE id = '"+id+"'")
	}
	return id
}

// text is all that the table has of a job; empty where it has none.
func text(t *testing.T, db *gorm.DB, id string) string {
	t.Helper()
	var row string
	if err := db.Raw("SELECT coalesce((SELECT t::text FROM ackbox_jobs AS t WHERE id = ?), '')", id).Scan(&row).Error; err != nil {
		t.Fatal(err)
	}
	return row
}

func TestPartitionsAreMade(t *testing.T) {
	t.Parallel()
	db, s := partitioned(t)
	var want []string
	for i := range outbox.DefaultPartitionsAhead + 1 {
		want = append(want, nameOf(-i))
	}
	if got := partitions(t, db); !slices.Equal(got, want) {
		t.Errorf("Migrate made %v, want %v", got, want)
	}
	put(t, db, -8, 1, "")
	for _, tt := range []struct{ ahead, made int }{{0, 0}, {outbox.DefaultPartitionsAhead, 0}, {6, 3}, {10, 3}, {10, 0}} {
		if n, err := s.MakePartitions(t.Context(), tt.ahead); n != tt.made || err != nil {
			t.Errorf("%d days ahead: made %d, %v, want %d", tt.ahead, n, err, tt.made)
		}
	}
	for i := 4; i <= 10; i++ {
		if i != 8 { // the default partition had a row of it
			want = append(want, nameOf(-i))
		}
	}
	if got := partitions(t, db); !slices.Equal(got, want) {
		t.Errorf("there are %v, want %v", got, want)
	}
	// The storage parameters are the default partition's, in all of them; every
	// job is found where its id belongs.
	var odd int
	err := db.Raw(`SELECT count(*) FROM pg_inherits JOIN pg_class AS c ON c.oid = inhrelid, pg_class AS d
		WHERE inhparent = 'ackbox_jobs'::regclass AND d.relname = 'ackbox_jobs_default'
			AND (c.reloptions IS DISTINCT FROM d.reloptions OR d.reloptions IS NULL)`).Scan(&odd).Error
	if err != nil || odd != 0 {
		t.Errorf("%d partitions have storage parameters of their own, %v", odd, err)
	}
	for ago, partition := range map[int]string{0: nameOf(0), -8: "ackbox_jobs_default", -9: nameOf(-9), -11: "ackbox_jobs_default", 1: "ackbox_jobs_default"} {
		var got string
		id := put(t, db, ago, 2, "")
		if err := db.Raw("SELECT tableoid::regclass::text FROM ackbox_jobs WHERE id = ?", id).Scan(&got).Error; err != nil || got != partition {
			t.Errorf("job %s is in %s, %v; want %s", id, got, err, partition)
		}
	}
	for _, bad := range []int{-1, 366} {
		if _, err := s.MakePartitions(t.Context(), bad); err == nil || !strings.Contains(err.Error(), "want 0 to 365") {
			t.Errorf("%d days ahead: %v", bad, err)
		}
	}
}

func TestPartitionsAreMadeTogether(t *testing.T) {
	t.Parallel()
	dsn := testenv.DatabaseURL(t)
	var wg sync.WaitGroup
	made := make([]int, 4)
	for i := range made {
		db := open(t, postgres.Open(dsn), 3, gorm.Config{})
		s, err := outbox.NewStore(db, outbox.Config{Partitioned: true})
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			err := s.Migrate(t.Context())
			n, makeErr := s.MakePartitions(t.Context(), 12)
			if err := errors.Join(err, makeErr); err != nil {
				t.Error(err)
			}
			made[i] = n
		})
	}
	wg.Wait()
	if got := made[0] + made[1] + made[2] + made[3]; got != 12-outbox.DefaultPartitionsAhead {
		t.Errorf("they made %v, want %d in all", made, 12-outbox.DefaultPartitionsAhead)
	}
}

// While partitions are made business transactions go on: one that is open does
// not keep a partition from being made, and none has to wait.
func TestPartitionsAreMadeBesideInserts(t *testing.T) {
	t.Parallel()
	db, s := partitioned(t)
	tx := db.Begin()
	defer tx.Rollback()
	if err := outbox.Enqueue(t.Context(), tx, work{1}); err != nil {
		t.Fatal(err)
	}
	if n, err := s.MakePartitions(t.Context(), 5); n != 2 || err != nil {
		t.Errorf("beside an open transaction: made %d, %v", n, err)
	}
	// One that has the default partition does, and is not waited for long.
	if err := tx.Exec("SELECT count(*) FROM ackbox_jobs").Error; err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	n, err := s.MakePartitions(t.Context(), 7)
	if took := time.Since(start); n != 0 || err == nil || !strings.Contains(err.Error(), "55P03") || took > 5*time.Second {
		t.Errorf("made %d, %v after %v; want the lock's timeout", n, err, took)
	}
	if err := tx.Commit().Error; err != nil {
		t.Fatal(err)
	}
	if n, err := s.MakePartitions(t.Context(), 7); n != 2 || err != nil {
		t.Errorf("afterwards: made %d, %v", n, err)
	}
}

func TestPartitionedDisagrees(t *testing.T) {
	t.Parallel()
	for is, words := range map[bool]string{
		true:  "is partitioned, but Config.Partitioned is false",
		false: "Config.Partitioned is true, but",
	} {
		dsn := testenv.DatabaseURL(&another{t})
		db := open(t, postgres.Open(dsn), 3, gorm.Config{})
		s, err := outbox.NewStore(db, outbox.Config{Partitioned: is})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		before := relations(t, db)
		other, err := outbox.NewStore(open(t, postgres.Open(dsn), 3, gorm.Config{}), outbox.Config{Partitioned: !is})
		if err != nil {
			t.Fatal(err)
		}
		if err := other.Migrate(t.Context()); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("Migrate of a Store with Partitioned %v: %v", !is, err)
		}
		if after := relations(t, db); !maps.Equal(before, after) {
			t.Errorf("from %v to %v", before, after)
		}
	}
}

// relations lists all tables and indexes.
func relations(t *testing.T, db *gorm.DB) map[string]string {
	t.Helper()
	var rows []struct{ Name, Kind string }
	if err := db.Raw("SELECT relname AS name, relkind AS kind FROM pg_class WHERE relnamespace = 'public'::regnamespace").Scan(&rows).Error; err != nil {
		t.Fatal(err)
	}
	all := make(map[string]string)
	for _, r := range rows {
		all[r.Name] = r.Kind
	}
	return all
}

// Without Config.Partitioned there is nothing to look after.
func TestNoPartitions(t *testing.T) {
	t.Parallel()
	db, s := store(t, outbox.Config{})
	n, err := s.MakePartitions(context.Background(), 3)
	dropped, kept, dropErr := s.DropPartitions(t.Context(), 0)
	if n != 0 || len(dropped)+len(kept) != 0 || errors.Join(err, dropErr) != nil {
		t.Errorf("made %d, %v; dropped %v, kept %v, %v", n, err, dropped, kept, dropErr)
	}
	if got := relations(t, db); got["ackbox_jobs"] != "r" {
		t.Errorf("there are %v", got)
	}
}
