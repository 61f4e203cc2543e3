//go:build unix

package servers

import (
	"context"
	"errors"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"
)

func TestPgBouncerNode(t *testing.T) {
	t.Parallel()
	pg, err := NewPostgres(PostgresOptions{Password: `q"u'o te`})
	started(t, pg, err)
	n, err := NewPgBouncer(PgBouncerOptions{Target: pg.URL(), PoolSize: 2, Config: []string{"query_wait_timeout = 7"}})
	started(t, n, err)
	ping := func(ctx context.Context) error { return PingPostgres(ctx, n.URL("")) }
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(ping(t.Context()))
	must(PingPostgres(t.Context(), n.URL("template1"))) // any database of the server
	stranger, err := url.Parse(n.URL(""))
	must(err)
	stranger.User = url.UserPassword("postgres", "guess")
	if err := PingPostgres(t.Context(), stranger.String()); err == nil {
		t.Error("a wrong password was let in")
	}
	must(n.Freeze())
	short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := ping(short); err == nil {
		t.Error("a frozen node answers")
	}
	must(n.Thaw())
	must(ping(t.Context()))
	if err := n.Remove(); err == nil {
		t.Error("a running node was removed")
	}
	before := n.PID()
	must(n.Kill(t.Context()))
	if err := ping(t.Context()); err == nil {
		t.Error("a killed node answers")
	}
	must(n.Start(t.Context()))
	must(ping(t.Context()))
	if n.PID() == before {
		t.Error("it has not been started again")
	}
	must(n.Stop(t.Context()))
	if err := ping(t.Context()); err == nil {
		t.Error("a stopped node answers")
	}
	ini, err := os.ReadFile(n.file("pgbouncer.ini"))
	must(err)
	for _, line := range []string{"pool_mode = transaction", "default_pool_size = 2", "listen_addr = 127.0.0.1", "query_wait_timeout = 7"} {
		if !strings.Contains(string(ini), line+"\n") {
			t.Errorf("the configuration lacks %q", line)
		}
	}
}

func TestPgBouncerSaysWhyItDoesNotStart(t *testing.T) {
	t.Parallel()
	n, err := NewPgBouncer(PgBouncerOptions{Target: "postgres://u:p@127.0.0.1/db", Config: []string{"pool_mode = no_such_mode"}})
	if errors.Is(err, ErrNotInstalled) {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Remove(); err != nil {
			t.Error(err)
		}
	})
	if err := n.Start(context.WithoutCancel(t.Context())); err == nil || !contains(err, "no_such_mode") {
		t.Errorf("the error does not show the log: %v", err)
	}
	if n.Process.Alive() {
		t.Error("a failed start left a process behind")
	}
	if _, err := NewPgBouncer(PgBouncerOptions{Target: "hunter2"}); err == nil || contains(err, "hunter2") {
		t.Errorf("a Target that is no URL: %v", err)
	}
}
