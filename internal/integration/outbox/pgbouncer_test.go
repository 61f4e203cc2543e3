package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/ackbox/ackbox/internal/core"
	"github.com/ackbox/ackbox/internal/integration/storetest"
	"github.com/ackbox/ackbox/internal/testenv"
	"github.com/ackbox/ackbox/internal/testenv/servers"
	"github.com/ackbox/ackbox/outbox"
)

// bouncer starts a PgBouncer in transaction mode, with so many connections for
// each database, in front of the tests' server.
func bouncer(t *testing.T, connections int) *servers.PgBouncer {
	t.Helper()
	n, err := servers.NewPgBouncer(servers.PgBouncerOptions{
		Target: testenv.DatabaseURL(t), PoolSize: connections,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(n.Kill(context.Background()), n.Remove()); err != nil {
			t.Error(err)
		}
	})
	if err := n.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return n
}

// setting is a way to open a database, and what it comes to behind PgBouncer.
type setting struct {
	name    string
	dsn     string // what is added to the URL
	simple  bool   // PreferSimpleProtocol
	prepare bool   // PrepareStmt
	refused string // SQLSTATEs of which one comes; none: it works
	suite   bool   // the whole suite runs with it, where it works
	// followed settings prepare statements in the protocol, which PgBouncer follows
	// from session to session from 1.24 on, without being told to.
	followed bool
}

// on is what the setting comes to with the PgBouncer of this machine.
func (s setting) on(v servers.Version) setting {
	if s.followed && v.AtLeast(1, 24) {
		s.refused = ""
	}
	return s
}

func bouncerVersion(t *testing.T, n *servers.PgBouncer) servers.Version {
	t.Helper()
	v, err := servers.PgBouncerVersion(t.Context(), n.Options.Bin)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func (s setting) dialector(url string) gorm.Dialector {
	return postgres.New(postgres.Config{DSN: url + s.dsn, PreferSimpleProtocol: s.simple})
}

func (s setting) open(t *testing.T, url string, connections int) *gorm.DB {
	t.Helper()
	return open(t, s.dialector(url), connections, gorm.Config{PrepareStmt: s.prepare})
}

// The settings that doc.go speaks of.
var settings = []setting{
	{name: "exec", dsn: "&default_query_exec_mode=exec", suite: true},
	{name: "cache_describe", dsn: "&default_query_exec_mode=cache_describe"},
	{name: "PreferSimpleProtocol", simple: true, suite: true},
	{name: "default", refused: "42P05 26000", followed: true, suite: true},
	{name: "PrepareStmt", dsn: "&default_query_exec_mode=exec", prepare: true, refused: "42P05 26000", followed: true},
	{name: "PreferSimpleProtocol and PrepareStmt", simple: true, prepare: true, refused: "42P05 26000", followed: true},
	// And describe_exec, which is not tested: one client executes what another
	// one described, 26000 if it is lucky, and pgx panics on answers it does not
	// expect.
}

func TestPgBouncer(t *testing.T) {
	t.Parallel()
	n := bouncer(t, 5)
	version := bouncerVersion(t, n)
	for _, s := range settings {
		if s = s.on(version); !s.suite || s.refused != "" {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			d := &databases{t: t}
			storetest.Run(t, func(t *testing.T) *gorm.DB {
				return s.open(t, n.URL(name(t, d.lend(t))), 10) // twice what the server has for it
			}, outbox.Config{})
		})
	}
}

// Four instances with one connection each share two of the server's: those with
// a right setting do not notice, the others fail in the way that doc.go says.
func TestPgBouncerSettings(t *testing.T) {
	t.Parallel()
	n := bouncer(t, 2)
	version := bouncerVersion(t, n)
	for _, s := range settings {
		s = s.on(version)
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			store(t, outbox.Config{}) // migrates, on connections of its own
			url := n.URL(name(t, testenv.DatabaseURL(t)))
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			var all sync.WaitGroup
			answers := make(chan error, 4)
			for range cap(answers) {
				db := s.open(t, url, 1)
				all.Go(func() {
					err := useStore(ctx, db, s.refused != "")
					if err != nil {
						cancel() // one is enough
					}
					answers <- err
				})
			}
			all.Wait()
			var first error
			for range cap(answers) {
				if err := <-answers; err != nil && (first == nil || errors.Is(first, context.Canceled)) {
					first = err
				}
			}
			switch {
			case s.refused == "" && first != nil:
				t.Error(first)
			case s.refused != "" && (first == nil || !sqlState(first, s.refused)):
				t.Errorf("it gives %v, want SQLSTATE %s", first, s.refused)
			}
		})
	}
}

func sqlState(err error, codes string) bool {
	for code := range strings.FieldsSeq(codes) {
		if strings.Contains(err.Error(), code) {
			return true
		}
	}
	return false
}

// useStore does what an instance does: twenty times, or forever, until ctx ends.
func useStore(ctx context.Context, db *gorm.DB, forever bool) error {
	s, err := outbox.NewStore(db, outbox.Config{StatementTimeout: time.Minute})
	if err != nil {
		return err
	}
	for i := 0; i < 20 || forever; i++ {
		if err := db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
			return outbox.EnqueueAll(ctx, tx, outbox.Item{Args: work{i}}, outbox.Item{Args: work{i}}, outbox.Item{Args: work{i}})
		}); err != nil {
			return err
		}
		if _, err := s.Relay(ctx, core.Claim{Limit: 10}, allSentIn); err != nil {
			return err
		}
		if _, err := s.Resend(ctx, "default", time.Now(), time.Minute, 10); err != nil {
			return err
		}
		if _, err := s.Counts(ctx); err != nil {
			return err
		}
		// The bound of a claim's session is gone with its transaction.
		var bound string
		if err := db.WithContext(ctx).Raw("SHOW idle_in_transaction_session_timeout").Scan(&bound).Error; err != nil {
			return err
		}
		if bound != "0" {
			return fmt.Errorf("a session is left with idle_in_transaction_session_timeout %s", bound)
		}
	}
	return nil
}

// Clients' connections do share the server's: without that, the tests above
// would prove nothing.
func TestPgBouncerShares(t *testing.T) {
	t.Parallel()
	n := bouncer(t, 2)
	url := n.URL(name(t, testenv.DatabaseURL(t)))
	sessions := make(map[int]bool)
	for range 6 {
		db := settings[0].open(t, url, 1)
		var pid int
		if err := db.Raw("SELECT pg_backend_pid()").Scan(&pid).Error; err != nil {
			t.Fatal(err)
		}
		sessions[pid] = true
	}
	if len(sessions) > 2 {
		t.Errorf("6 clients have %d sessions, want 2", len(sessions))
	}
	// What the startup message may not say.
	options := "unsupported startup parameter: options"
	if bouncerVersion(t, n).AtLeast(1, 20) { // it reads what is in there
		options = "unsupported startup parameter in options: search_path"
	}
	for dsn, want := range map[string]string{
		"&search_path=app":                "unsupported startup parameter: search_path",
		"&options=-c%20search_path%3Dapp": options,
		"&statement_timeout=1000":         "unsupported startup parameter: statement_timeout",
	} {
		_, err := gorm.Open(setting{dsn: dsn}.dialector(url), &gorm.Config{Logger: logger.Discard})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s gives %v, want %s", dsn, err, want)
		}
	}
}

func TestFrozenDispatcherBehindPgBouncer(t *testing.T) {
	t.Parallel()
	url := bouncer(t, 5).URL(name(t, testenv.DatabaseURL(t)))
	frozenDispatcher(t, settings[0].open(t, url, 10), "25P03")
}
