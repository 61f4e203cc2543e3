//go:build unix

package faults_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"sync"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/ackbox/ackbox/internal/integration/netfault"
	"github.com/ackbox/ackbox/internal/integration/shop"
	"github.com/ackbox/ackbox/internal/integration/site"
	"github.com/ackbox/ackbox/internal/testenv"
)

// patience bounds every wait. It passes only if something hangs.
const patience = 150 * time.Second

// stage is one test's shop: a database and a vhost of its own, a proxy before
// each, and whatever instances the test starts.
type stage struct {
	t   *testing.T
	ctx context.Context
	// cfg is what instances are started with.
	cfg shop.Config
	// app places orders and audits. None of its loops run. It goes to the
	// servers directly, so that the proxies' faults do not reach it.
	app *shop.App
	db  *gorm.DB // app's

	toPostgres, toRabbitMQ *netfault.Proxy
	log                    *logBuffer
	placed                 int // calls of place
}

// newStage sets a stage up. changes are made to the configuration of all its
// instances.
func newStage(t *testing.T, changes ...func(*shop.Config)) *stage {
	t.Helper()
	return newStageAt(t, testenv.DatabaseURL(t), testenv.AMQPURL(t), changes...)
}

// newStageAt is newStage with servers of the caller's choice.
func newStageAt(t *testing.T, database, amqp string, changes ...func(*shop.Config)) *stage {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	t.Cleanup(cancel)
	s := &stage{
		t: t, ctx: ctx, log: &logBuffer{},
		toPostgres: netfault.Start(t, host(t, database)), toRabbitMQ: netfault.Start(t, host(t, amqp)),
	}
	s.cfg = shop.Config{
		Name: "instance", DatabaseURL: site.Through(database, s.toPostgres.Address()),
		AMQPURL: site.Through(amqp, s.toRabbitMQ.Address()), Dispatcher: true, Worker: true,
	}
	for _, change := range changes {
		change(&s.cfg)
	}
	direct := s.cfg
	direct.Name, direct.DatabaseURL, direct.AMQPURL = "audit", database, amqp
	s.app = s.open(direct)
	s.db = s.app.DB
	s.must("make the tables", s.app.Setup(ctx))
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("logged:\n%s", s.log)
		}
	})
	return s
}

func host(t *testing.T, server string) string {
	t.Helper()
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal("the URL of a server does not parse")
	}
	return u.Host
}

// open opens an instance in this process and closes it when the test ends.
func (s *stage) open(cfg shop.Config) *shop.App {
	s.t.Helper()
	cfg.Logger = slog.New(slog.NewTextHandler(s.log, nil)).With("instance", cfg.Name)
	app, err := shop.Open(cfg)
	s.must("open an instance", err)
	s.t.Cleanup(func() {
		if err := app.Close(); err != nil {
			s.t.Errorf("close an instance: %v", err)
		}
	})
	return app
}

// instance is a running instance in this process.
type instance struct {
	*shop.App
	s    *stage
	stop context.CancelFunc
	done chan error
	once sync.Once
}

// run runs an instance in this process until the test ends, or end is called.
func (s *stage) run(changes ...func(*shop.Config)) *instance {
	s.t.Helper()
	cfg := s.cfg
	for _, change := range changes {
		change(&cfg)
	}
	ctx, stop := context.WithCancel(context.Background())
	i := &instance{App: s.open(cfg), s: s, stop: stop, done: make(chan error, 1)}
	go func() { i.done <- i.Run(ctx) }() // awaited by end
	s.t.Cleanup(i.end)
	return i
}

// end stops the instance and fails the test if that is not peaceful.
func (i *instance) end() {
	i.once.Do(func() {
		i.stop()
		select {
		case err := <-i.done:
			if err != nil {
				i.s.t.Errorf("an instance ended with: %v", err)
			}
		case <-time.After(patience):
			i.s.t.Errorf("an instance does not end")
		}
	})
}

// process starts an instance as a process of its own, with failpoints such as
// "outbox.published=kill:1". It is killed when the test ends.
func (s *stage) process(change func(*shop.Config), traps ...string) *site.Process {
	s.t.Helper()
	cfg := s.cfg
	if change != nil {
		change(&cfg)
	}
	p, err := site.Start(shopd, cfg, traps...)
	s.must("start a process", err)
	s.t.Cleanup(func() {
		p.Kill()
		if s.t.Failed() {
			s.t.Logf("log of process %s:\n%s", cfg.Name, p.Log())
		}
	})
	return p
}

// dispatcherOnly and workerOnly make an instance play one part.
func dispatcherOnly(cfg *shop.Config) {
	cfg.Name, cfg.Dispatcher, cfg.Worker = "dispatcher", true, false
}

func workerOnly(cfg *shop.Config) { cfg.Name, cfg.Dispatcher, cfg.Worker = "worker", false, true }

// place commits n jobs that are done exactly once, all with the same plan.
func (s *stage) place(n int, plan shop.Plan) {
	s.t.Helper()
	s.placed++
	s.must("place orders", s.app.PlaceAll(s.ctx, fmt.Sprintf("order%d", s.placed), n, plan))
}

// settled waits until every job is finished and returns the books, which must
// balance.
func (s *stage) settled() shop.Audit {
	s.t.Helper()
	var audit shop.Audit
	s.eventually("every job is finished", func() error {
		var err error
		if audit, err = shop.Take(s.ctx, s.db); err != nil {
			return err
		}
		if audit.Unfinished > 0 {
			return fmt.Errorf("%+v", audit)
		}
		return nil
	})
	if err := audit.Err(); err != nil {
		s.t.Error(err)
	}
	return audit
}

// count runs a query that counts.
func (s *stage) count(query string, args ...any) int {
	s.t.Helper()
	var n int
	s.must(query, s.db.WithContext(s.ctx).Raw(query, args...).Scan(&n).Error)
	return n
}

// reaches waits until query counts at least n.
func (s *stage) reaches(n int, query string, args ...any) {
	s.t.Helper()
	s.eventually(query, func() error {
		if got := s.count(query, args...); got < n {
			return fmt.Errorf("%d of %d", got, n)
		}
		return nil
	})
}

// eventually asks until there is no error, or fails the test.
func (s *stage) eventually(what string, ask func() error) {
	s.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for {
		err := ask()
		if err == nil {
			return
		}
		select {
		case <-deadline:
			s.t.Fatalf("after %v not yet: %s: %v", patience, what, err)
		case <-tick.C:
		}
	}
}

func (s *stage) must(what string, err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatalf("%s: %v", what, err)
	}
}

// ctl runs rabbitmqctl on the package's node.
func (s *stage) ctl(args ...string) {
	s.t.Helper()
	_, err := ground.RabbitMQ.Ctl(s.ctx, args...)
	s.must("rabbitmqctl", err)
}

// logBuffer collects what instances log.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
