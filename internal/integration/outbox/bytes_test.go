package outbox_test

import (
	"context"
	"net"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/internal/integration/netfault"
	"github.com/ackbox/ackbox/internal/testenv"
	"github.com/ackbox/ackbox/outbox"
)

// fillLarge inserts n jobs with payloads of so many bytes.
func fillLarge(t *testing.T, db *gorm.DB, n, bytes int) {
	t.Helper()
	run(t, db, "ALTER TABLE ackbox_jobs ALTER payload SET STORAGE EXTERNAL")
	err := db.Exec(`INSERT INTO ackbox_jobs (id, kind, queue, exchange, routing_key, mandatory, payload, max_attempts, due_at)
		SELECT gen_random_uuid(), 'k', 'default', '', 'default', true, convert_to(repeat('x', ?), 'UTF8'), 9, now() - n * interval '1 millisecond'
		FROM generate_series(1, ?) AS n`, bytes, n).Error
	if err != nil {
		t.Fatal(err)
	}
}

// through returns a proxy before the test's server, and the URL of the test's
// database behind it.
func through(t *testing.T) (*netfault.Proxy, string) {
	t.Helper()
	u, err := url.Parse(testenv.DatabaseURL(t))
	if err != nil {
		t.Fatal("the URL of the test's database does not parse")
	}
	proxy := netfault.Start(t, u.Host)
	u.Host = proxy.Address()
	return proxy, u.String()
}

// Jobs that cannot all be fetched within a deadline are claimed in smaller
// batches, none of which is larger than it may be.
func TestLargePayloadsOverASlowNetwork(t *testing.T) {
	t.Parallel()
	const jobs, payload, batch = 128, 64 << 10, 4 << 20
	direct, _ := store(t, outbox.Config{})
	fillLarge(t, direct, jobs, payload)
	proxy, dsn := through(t)
	s, err := outbox.NewStore(open(t, postgres.Open(dsn), 2, gorm.Config{}),
		outbox.Config{StatementTimeout: 500 * time.Millisecond, MaxBatchBytes: batch})
	if err != nil {
		t.Fatal(err)
	}
	if err := proxy.Throttle(4 << 20); err != nil {
		t.Fatal(err)
	}
	sent, failed, largest := 0, 0, 0
	for deadline := time.Now().Add(time.Minute); sent < jobs; {
		n, err := s.Relay(t.Context(), core.Claim{Limit: 512}, func(_ context.Context, jobs []ackbox.Job) []core.Transition {
			bytes := 0
			for _, job := range jobs {
				bytes += len(job.Payload)
			}
			largest = max(largest, bytes)
			return allSent(jobs)
		})
		if err != nil {
			failed++
			t.Logf("claim: %v", err)
		} else {
			sent += n
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d jobs were claimed in a minute, %d claims failed", sent, jobs, failed)
		}
	}
	if largest > batch+payload {
		t.Errorf("a batch had %d bytes, want at most %d and a payload", largest, batch)
	}
	t.Logf("%d claims failed, the largest batch had %d bytes", failed, largest)
}

// A batch ends with the payload that reaches its limit, what is left over is in
// the next ones, and the order is kept.
func TestBatchBytes(t *testing.T) {
	t.Parallel()
	db, s := store(t, outbox.Config{MaxBatchBytes: 1 << 20})
	fillLarge(t, db, 20, 256<<10)
	fillLarge(t, db, 20, 100)
	var last time.Time
	for total, calls := 0, 0; total < 40; calls++ {
		n, err := s.Relay(t.Context(), core.Claim{Limit: 100}, func(_ context.Context, jobs []ackbox.Job) []core.Transition {
			bytes := 0
			for _, job := range jobs {
				bytes += len(job.Payload)
				var due time.Time
				if err := db.Raw("SELECT due_at FROM ackbox_jobs WHERE id = ?", job.ID).Scan(&due).Error; err != nil {
					t.Error(err)
				}
				if due.Before(last) {
					t.Errorf("job %s is out of order", job.ID)
				}
				last = due
			}
			if bytes >= 1<<20+256<<10 {
				t.Errorf("a batch has %d bytes", bytes)
			}
			return allSent(jobs)
		})
		if err != nil {
			t.Fatal(err)
		}
		total += n
		if calls > 8 {
			t.Fatalf("%d of 40 jobs in %d batches", total, calls)
		}
	}
}

// A process that freezes while it reads a claim loses its rows within seconds:
// the server waits for a client to read without a timeout of its own.
func TestFrozenWhileReadingAClaim(t *testing.T) {
	t.Parallel()
	const jobs = 128
	direct, s := store(t, outbox.Config{})
	fillLarge(t, direct, jobs, 512<<10)
	config, err := pgx.ParseConfig(testenv.DatabaseURL(t))
	if err != nil {
		t.Fatal("the URL of the test's database does not parse")
	}
	thawed, froze := make(chan struct{}), atomic.Bool{}
	config.DefaultQueryExecMode = pgx.QueryExecModeExec // a statement is one message
	config.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, network, address)
		return &freezing{c, &froze, thawed}, err
	}
	config.Tracer = &recorder{before: func(query string) {
		if strings.Contains(query, "WHERE total - size <") {
			froze.Store(true)
		}
	}}
	frozen, err := outbox.NewStore(open(t, postgres.New(postgres.Config{Conn: stdlib.OpenDB(*config)}), 2, gorm.Config{}),
		outbox.Config{StatementTimeout: 2 * time.Second, MaxBatchBytes: 32 << 20})
	if err != nil {
		t.Fatal(err)
	}
	over := make(chan error, 1)
	go func() {
		_, err := frozen.Relay(t.Context(), core.Claim{Limit: jobs}, nil)
		over <- err
	}()
	waitFor(t, direct, `SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'ClientWrite'`)
	began := time.Now()
	waitFor(t, direct, `WITH free AS (SELECT id FROM ackbox_jobs WHERE state = 'pending' FOR UPDATE SKIP LOCKED) SELECT count(*) = 128 FROM free`)
	t.Logf("the rows were free after %v", time.Since(began))
	close(thawed)
	if err := <-over; err == nil {
		t.Error("the frozen claim came to something")
	}
	if n, err := s.Relay(t.Context(), core.Claim{Limit: jobs}, allSentIn); err != nil || n == 0 {
		t.Errorf("another process claims %d, %v", n, err)
	}
}

// freezing is a connection of a process that freezes: it reads no more then, and
// does not close.
type freezing struct {
	net.Conn
	froze  *atomic.Bool
	thawed chan struct{}
}

// Read implements net.Conn.
func (c *freezing) Read(b []byte) (int, error) {
	if c.froze.Load() {
		<-c.thawed
	}
	return c.Conn.Read(b)
}

// waitFor waits until a query says true, for half a minute.
func waitFor(t *testing.T, db *gorm.DB, query string) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; {
		var yes bool
		if err := db.Raw(query).Scan(&yes).Error; err != nil {
			t.Fatal(err)
		}
		if yes {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within half a minute: %s", query)
		}
	}
}

// Many large jobs are written in several statements, each of which can be on its
// way within a deadline.
func TestEnqueueAllSplitsByBytes(t *testing.T) {
	t.Parallel()
	db, s, r := recorded(t, outbox.Config{MaxPayloadBytes: 1 << 20})
	items := make([]outbox.Item, 64)
	for i := range items {
		items[i] = outbox.Item{Args: longText{strings.Repeat("x", 300<<10)}}
	}
	queries := r.during(func() {
		err := db.Transaction(func(tx *gorm.DB) error { return s.EnqueueAll(t.Context(), tx, items...) })
		if err != nil {
			t.Error(err)
		}
	})
	for _, q := range queries {
		bytes := 0
		for _, arg := range q.Args {
			if b, ok := arg.([]byte); ok {
				bytes += len(b)
			}
		}
		if bytes == 0 || bytes > 4<<20 {
			t.Errorf("a statement writes %d bytes of payload", bytes)
		}
	}
	if counts, err := s.Counts(t.Context()); err != nil || counts[ackbox.Pending] != len(items) {
		t.Errorf("%v, %v: want %d jobs", counts, err, len(items))
	}
}

type longText struct{ Text string }

// Kind implements ackbox.Args.
func (longText) Kind() string { return "test.text" }
