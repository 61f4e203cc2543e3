//go:build unix

package faults_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/internal/integration/shop"
	"github.com/ackbox/ackbox/internal/integration/site"
	"github.com/ackbox/ackbox/outbox"
)

// exec runs a statement in the test's own database, as a superuser.
func (s *stage) exec(statement string, args ...any) {
	s.t.Helper()
	s.must(statement, s.db.WithContext(s.ctx).Exec(statement, args...).Error)
}

// later is s.ctx for clean-ups, in which a test's context has ended.
func (s *stage) later(statements ...string) {
	for _, statement := range statements {
		if err := s.db.WithContext(context.WithoutCancel(s.ctx)).Exec(statement).Error; err != nil {
			s.t.Errorf("%s: %v", statement, err)
		}
	}
}

// alter changes a setting of the test's own database; sessions opened from now
// on have it.
func (s *stage) alter(setting string) {
	s.t.Helper()
	var name string
	s.must("ask for the database's name", s.db.WithContext(s.ctx).Raw(`SELECT current_database()`).Scan(&name).Error)
	s.exec(`ALTER DATABASE ` + name + ` ` + setting)
}

// fresh has app's pool open its next connections anew.
func (s *stage) fresh() {
	s.t.Helper()
	pool, err := s.db.DB()
	s.must("find the pool", err)
	pool.SetMaxIdleConns(0)
	pool.SetMaxIdleConns(4)
}

// marked gives the sessions of all instances a name by which terminate finds
// them; app's are not among them.
func marked(cfg *shop.Config) { cfg.DatabaseURL += "&application_name=instance" }

// ownRole makes the instances use a role of the test's own, named by the return;
// grant makes it.
func ownRole(cfg *shop.Config) string {
	u, err := url.Parse(cfg.DatabaseURL)
	if err != nil {
		panic("the URL of our own server does not parse")
	}
	role := "role_" + strings.ToLower(rand.Text()[:16])
	u.User = url.UserPassword(role, role)
	cfg.DatabaseURL = u.String()
	return role
}

// grant makes a role that may use, but not change, the tables. It has the name
// as its password.
func (s *stage) grant(role string) {
	s.t.Helper()
	s.exec(`CREATE ROLE ` + role + ` LOGIN PASSWORD '` + role + `'`)
	s.t.Cleanup(func() { s.later(`DROP OWNED BY `+role, `DROP ROLE `+role) })
	s.exec(`GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO ` + role)
}

// terminate ends the sessions of all instances, and returns how many there were.
func (s *stage) terminate() int {
	s.t.Helper()
	return s.count(`SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
		WHERE datname = current_database() AND application_name = 'instance'`)
}

// lockedRows counts the publishable rows that somebody has locked.
func (s *stage) lockedRows() int {
	s.t.Helper()
	return s.count(`SELECT (SELECT count(*) FROM ackbox_jobs WHERE state = 'pending')
		- (SELECT count(*) FROM (SELECT FROM ackbox_jobs WHERE state = 'pending' FOR SHARE SKIP LOCKED) AS free)`)
}

// lineWith reports whether log has a line with all parts in it.
func lineWith(log string, parts ...string) bool {
	for line := range strings.Lines(log) {
		all := true
		for _, part := range parts {
			all = all && strings.Contains(line, part)
		}
		if all {
			return true
		}
	}
	return false
}

// logged waits for a line with all parts in it, from log.
func (s *stage) logged(log func() string, parts ...string) {
	s.t.Helper()
	s.eventually(fmt.Sprintf("a line with %q is logged", parts), func() error {
		if !lineWith(log(), parts...) {
			return fmt.Errorf("not among %d bytes", len(log()))
		}
		return nil
	})
}

// equal fails the test, without ending it, unless got is want.
func (s *stage) equal(what string, got, want int) {
	s.t.Helper()
	if got != want {
		s.t.Errorf("%s: %d, want %d", what, got, want)
	}
}

// atLeast fails the test, without ending it, if got is below low.
func (s *stage) atLeast(what string, got, low int) {
	s.t.Helper()
	if got < low {
		s.t.Errorf("%s: %d, want at least %d", what, got, low)
	}
}

// atMost fails the test, without ending it, if got is above high.
func (s *stage) atMost(what string, got, high int) {
	s.t.Helper()
	if got > high {
		s.t.Errorf("%s: %d, want at most %d", what, got, high)
	}
}

// uncharged requires that no job has lost a try, or was counted as refused.
func (s *stage) uncharged() {
	s.t.Helper()
	s.equal("jobs that were charged a try", s.count(`SELECT count(*) FROM ackbox_jobs WHERE attempt > 1 OR publish_attempt > 0`), 0)
}

// chargedByHandlers requires that every try that was charged is one of which
// the application's own handler has said that it failed.
func (s *stage) chargedByHandlers() {
	s.t.Helper()
	s.equal("jobs that were charged a try without their handler's failure", s.count(`SELECT count(*) FROM ackbox_jobs
		WHERE publish_attempt > 0 OR attempt - 1 > jsonb_array_length(jsonb_path_query_array(coalesce(history, '[]'), '$[*].what ? (@ == "failed")'))`), 0)
}

// books is what the rows say of themselves: whatever changes a row changes it.
func (s *stage) books() string {
	s.t.Helper()
	var sum string
	s.must("sum up the rows", s.db.WithContext(s.ctx).Raw(`SELECT md5(string_agg(j::text, ',' ORDER BY id)) FROM ackbox_jobs AS j`).Scan(&sum).Error)
	return sum
}

// none returns an error unless query counts nothing.
func (s *stage) none(query string) error {
	s.t.Helper()
	if n := s.count(query); n > 0 {
		return fmt.Errorf("%d", n)
	}
	return nil
}

// wait lets d pass.
func (s *stage) wait(d time.Duration) {
	s.t.Helper()
	select {
	case <-time.After(d):
	case <-s.ctx.Done():
		s.t.Fatal(s.ctx.Err())
	}
}

// commit writes one job, and that it has to end in final, and returns its id.
func (s *stage) commit(args ackbox.Args, final ackbox.State, opts ...outbox.Option) string {
	s.t.Helper()
	id := outbox.NewID()
	tx := s.db.WithContext(s.ctx).Begin()
	defer tx.Rollback() // after Commit it does nothing
	s.must("expect a job", tx.Exec(`INSERT INTO shop_expected (job, order_id, kind, final) VALUES (?, '', ?, ?)`, id, args.Kind(), final).Error)
	s.must("enqueue a job", s.app.Store.Enqueue(s.ctx, tx, args, append(opts, outbox.ID(id))...))
	s.must("commit a job", tx.Commit().Error)
	return id
}

// roles are what this test program can do instead of testing, in a process of
// its own: shop.Config.Name says which. A role that returns ends the process.
var roles = map[string]func(context.Context, shop.Config) error{"deadly": deadly, "migrate": migrate}

// role starts this program in one of its roles.
func (s *stage) role(name string, change func(*shop.Config)) *site.Process {
	s.t.Helper()
	self, err := os.Executable()
	s.must("find this program", err)
	cfg := s.cfg
	cfg.Name = name
	if change != nil {
		change(&cfg)
	}
	p, err := site.Start(self, cfg)
	s.must("start a process", err)
	s.t.Cleanup(p.Kill)
	return p
}

// Before TestMain, which would start servers.
func init() {
	text := os.Getenv("SHOP_CONFIG")
	if text == "" {
		return
	}
	var cfg shop.Config
	err := json.Unmarshal([]byte(text), &cfg)
	if err == nil {
		err = roles[cfg.Name](context.Background(), cfg)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}
