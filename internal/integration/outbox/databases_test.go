package outbox_test

import (
	"context"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ackbox/ackbox/internal/testenv"
)

// databases lends empty databases to the subtests of one test. Making one takes
// longer than most of those tests, emptying one a few milliseconds.
type databases struct {
	t    *testing.T
	mu   sync.Mutex
	idle []string
}

// another makes testenv see somebody else, who needs a database of his own.
type another struct{ testing.TB }

// lend returns the URL of an empty database that nobody else has, until t ends.
func (d *databases) lend(t *testing.T) string {
	t.Helper()
	d.mu.Lock()
	var dsn string
	if n := len(d.idle); n > 0 {
		dsn, d.idle = d.idle[n-1], d.idle[:n-1]
	}
	d.mu.Unlock()
	if dsn == "" {
		dsn = testenv.DatabaseURL(&another{d.t})
	}
	t.Cleanup(func() {
		// One that cannot be emptied, because a failed test has left something
		// running in it, say, is not used again.
		if err := empty(dsn); err != nil {
			t.Logf("its database is not emptied: %v", err)
			return
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		d.idle = append(d.idle, dsn)
	})
	return dsn
}

// empty drops all that a database holds, and makes it like a new one.
func empty(dsn string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, `DO $$
DECLARE name text;
BEGIN
	FOR name IN SELECT nspname FROM pg_namespace WHERE nspname NOT LIKE 'pg\_%' AND nspname <> 'information_schema' LOOP
		EXECUTE format('DROP SCHEMA %I CASCADE', name);
	END LOOP;
	CREATE SCHEMA public;
END $$`)
	return err
}

// name is the database that a URL names.
func name(t *testing.T, dsn string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal("the database's URL does not parse")
	}
	return strings.TrimPrefix(u.Path, "/")
}
