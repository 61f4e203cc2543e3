package outbox_test

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"

	"github.com/ackbox/ackbox/internal/testenv"
	"github.com/ackbox/ackbox/outbox"
)

// listening returns a Store of the test's database whose server tells what it does,
// and what it has told.
func listening(t *testing.T) (*outbox.Store, func() string) {
	t.Helper()
	cfg, err := pgx.ParseConfig(testenv.DatabaseURL(t))
	must(t, err)
	cfg.RuntimeParams["client_min_messages"] = "debug1"
	var mu sync.Mutex
	var told strings.Builder
	cfg.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
		mu.Lock()
		defer mu.Unlock()
		told.WriteString(n.Message + "\n")
	}
	pool := stdlib.OpenDB(*cfg)
	t.Cleanup(func() { must(t, pool.Close()) })
	db := open(t, postgres.New(postgres.Config{Conn: pool}), 3, gorm.Config{})
	s, err := outbox.NewStore(db, outbox.Config{Partitioned: true})
	must(t, err)
	return s, func() string {
		mu.Lock()
		defer mu.Unlock()
		return told.String()
	}
}

// filled returns a partitioned table whose default partition is a large one.
func filled(t *testing.T) *gorm.DB {
	t.Helper()
	db, _ := partitioned(t)
	run(t, db, `INSERT INTO ackbox_jobs (id, kind, queue, exchange, routing_key, mandatory, payload, max_attempts, state, finished_at)
		SELECT ('00000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'old', 'default', '', 'default', true, repeat('x', 200)::bytea, 1, 'dead', now()
		FROM generate_series(1, 60000) AS n`)
	return db
}

// constraints counts what is left on the default partition.
func constraints(t *testing.T, db *gorm.DB) (n int64) {
	t.Helper()
	must(t, db.Raw(`SELECT count(*) FROM pg_constraint WHERE conrelid = 'ackbox_jobs_default'::regclass AND conname LIKE 'ackbox\_making%'`).Scan(&n).Error)
	return n
}

// A large default partition is not read while everybody is kept from it.
func TestPartitionsAreMadeBesideALargeDefault(t *testing.T) {
	t.Parallel()
	db := filled(t)
	s, told := listening(t)
	n, err := s.MakePartitions(t.Context(), 5)
	if n != 2 || err != nil {
		t.Fatalf("made %d, %v", n, err)
	}
	if got := strings.Count(told(), `"ackbox_jobs_default" is implied by existing constraints`); got != 2 {
		t.Errorf("%d of 2 partitions were attached without reading the default one; the server told:\n%s", got, told())
	}
	if n := constraints(t, db); n != 0 {
		t.Errorf("%d CHECKs are left behind", n)
	}
	// A day that is taken is left to it.
	put(t, db, -7, 1, "")
	if n, err := s.MakePartitions(t.Context(), 8); n != 2 || err != nil || slices.Contains(partitions(t, db), nameOf(-7)) {
		t.Errorf("beside a day that is taken: made %d, %v: %v", n, err, partitions(t, db))
	}
	put(t, db, -6, 2, "")
	put(t, db, -20, 3, "")
}

// A CHECK that a process left when it died is taken back by the next call, also if
// there is nothing to make.
func TestPartitionsCheckIsTakenBack(t *testing.T) {
	t.Parallel()
	db, s := partitioned(t)
	run(t, db, `ALTER TABLE ackbox_jobs_default ADD CONSTRAINT ackbox_making_p20990101 CHECK (id < 'f0000000-0000-0000-0000-000000000000') NOT VALID`)
	if n, err := s.MakePartitions(t.Context(), 1); n != 0 || err != nil {
		t.Errorf("made %d, %v", n, err)
	}
	if n := constraints(t, db); n != 0 {
		t.Errorf("%d CHECKs are left behind", n)
	}
}

// While somebody keeps the default partition from being checked nothing is made,
// within a bounded time, and no CHECK stays behind to refuse jobs.
func TestPartitionsCheckIsBounded(t *testing.T) {
	t.Parallel()
	db := filled(t)
	s, _ := listening(t)
	tx := db.Begin()
	defer tx.Rollback()
	must(t, tx.Exec("SELECT count(*) FROM ackbox_jobs").Error)
	start := time.Now()
	n, err := s.MakePartitions(t.Context(), 4)
	if n != 0 || err == nil || !strings.Contains(err.Error(), "55P03") || time.Since(start) > 10*time.Second {
		t.Errorf("made %d, %v after %v", n, err, time.Since(start))
	}
	must(t, tx.Commit().Error)
	if n := constraints(t, db); n != 0 {
		t.Errorf("%d CHECKs are left behind", n)
	}
	if n, err := s.MakePartitions(t.Context(), 4); n != 1 || err != nil {
		t.Errorf("afterwards: made %d, %v", n, err)
	}
}
