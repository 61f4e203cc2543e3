//go:build unix

package accounting_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/dispatcher"
	"github.com/ackbox/ackbox/handler"
	"github.com/ackbox/ackbox/internal/testenv"
	"github.com/ackbox/ackbox/outbox"
	"github.com/ackbox/ackbox/rabbitmq"
	"github.com/ackbox/ackbox/retry"
	"github.com/ackbox/ackbox/worker"
)

// patience bounds every wait. It passes only if something hangs.
const patience = 90 * time.Second

// stage is one test's database, vhost and parts.
type stage struct {
	t        *testing.T
	ctx      context.Context
	db       *gorm.DB
	store    *outbox.Store
	amqp     string
	topology ackbox.Topology
	log      *logBuffer
}

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{t: t, ctx: t.Context(), amqp: testenv.AMQPURL(t), log: &logBuffer{}}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("logged:\n%s", s.log)
		}
	})
	s.db = s.open(testenv.DatabaseURL(t))
	s.store = s.storeOf(s.db)
	s.must("make the tables", s.store.Migrate(s.ctx))
	return s
}

// open opens the stage's database once more, for another process's part.
func (s *stage) open(url string) *gorm.DB {
	s.t.Helper()
	db, err := gorm.Open(postgres.Open(url), &gorm.Config{Logger: logger.Discard})
	s.must("open the database", err)
	pool, err := db.DB()
	s.must("find the pool", err)
	pool.SetMaxOpenConns(12)
	s.t.Cleanup(func() { _ = pool.Close() })
	return db
}

func (s *stage) storeOf(db *gorm.DB) *outbox.Store {
	s.t.Helper()
	store, err := outbox.NewStore(db, outbox.Config{})
	s.must("make a store", err)
	return store
}

// broker connects as name, by which its connections can be told apart.
func (s *stage) broker(name string) *rabbitmq.Broker { return s.brokerAt(name, s.amqp) }

func (s *stage) brokerAt(name, url string) *rabbitmq.Broker {
	s.t.Helper()
	mq, err := rabbitmq.New(rabbitmq.Config{
		URL: url, Name: name, Topology: s.topology, MaxBackoff: 500 * time.Millisecond, Logger: s.log.logger(),
	})
	s.must("make a broker", err)
	s.t.Cleanup(func() { _ = mq.Close() })
	return mq
}

// part is a loop that runs until stop is called, or the test ends.
type part struct {
	s      *stage
	name   string
	cancel context.CancelFunc
	done   chan struct{}
	err    error // how it ended; valid after done
}

func (s *stage) run(name string, loop func(context.Context) error) *part {
	ctx, cancel := context.WithCancel(context.WithoutCancel(s.ctx))
	p := &part{s: s, name: name, cancel: cancel, done: make(chan struct{})}
	go func() { defer close(p.done); p.err = loop(ctx) }() // awaited by stop
	s.t.Cleanup(p.stop)
	return p
}

// stop ends the loop and waits for its end, which must be peaceful.
func (p *part) stop() {
	p.cancel()
	select {
	case <-p.done:
		if p.err != nil {
			p.s.t.Errorf("%s ended with: %v", p.name, p.err)
		}
	case <-time.After(patience):
		p.s.t.Errorf("%s does not end", p.name)
	}
}

// dispatch runs a dispatcher, with a sweeper.
func (s *stage) dispatch(change ...func(*dispatcher.Config)) *part {
	s.t.Helper()
	cfg := dispatcher.Config{PollInterval: 50 * time.Millisecond, Logger: s.log.logger()}
	for _, f := range change {
		f(&cfg)
	}
	mq := s.broker("dispatcher")
	d, err := dispatcher.New(s.store, mq, cfg)
	s.must("make a dispatcher", err)
	sweeper, err := retry.NewSweeper(s.store, mq, retry.Config{Rearm: "@every 1s", Logger: s.log.logger()})
	s.must("make a sweeper", err)
	s.run("the sweeper", sweeper.Run)
	return s.run("the dispatcher", d.Run)
}

// worker makes a worker with handlers by their kinds.
func (s *stage) worker(mq worker.Broker, handlers map[string]*calls, change ...func(*worker.Config)) *worker.Worker {
	s.t.Helper()
	reg := handler.NewRegistry()
	for kind, c := range handlers {
		reg.Handle(kind, c)
	}
	return s.workerOf(s.store, mq, reg, change...)
}

func (s *stage) workerOf(ledger worker.Ledger, mq worker.Broker, reg *handler.Registry, change ...func(*worker.Config)) *worker.Worker {
	s.t.Helper()
	cfg := worker.Config{JobTimeout: time.Hour, Logger: s.log.logger()}
	for _, f := range change {
		f(&cfg)
	}
	w, err := worker.New(ledger, mq, reg, cfg)
	s.must("make a worker", err)
	return w
}

// slots is how many jobs a worker runs at a time, and how many messages it is sent.
func slots(n, prefetch int) func(*worker.Config) {
	return func(cfg *worker.Config) {
		cfg.Queues = []worker.Queue{{Name: ackbox.DefaultQueue, Concurrency: n, Prefetch: prefetch}}
	}
}

// work is the args of every job here.
type work struct {
	kind string
	N    int
}

// Kind implements ackbox.Args.
func (w work) Kind() string { return w.kind }

// enqueue commits a job and returns its id.
func (s *stage) enqueue(kind string, opts ...outbox.Option) string {
	s.t.Helper()
	id := outbox.NewID()
	s.must("enqueue", s.db.WithContext(s.ctx).Transaction(func(tx *gorm.DB) error {
		return s.store.Enqueue(s.ctx, tx, work{kind: kind}, append(opts, outbox.ID(id))...)
	}))
	return id
}

func (s *stage) entry(id string) outbox.Entry {
	s.t.Helper()
	e, err := s.store.Get(context.WithoutCancel(s.ctx), id)
	s.must("read a row", err)
	return e
}

// final waits until all jobs are in a final state.
func (s *stage) final(ids ...string) {
	s.t.Helper()
	for _, id := range ids {
		s.eventually("the job is finished", func() error {
			if e := s.entry(id); !e.State.Final() {
				return fmt.Errorf("%s is %s, attempt %d, resend %d, last error %q", id, e.State, e.Attempt, e.Resend, e.LastError)
			}
			return nil
		})
	}
}

// wants fails the test, without ending it, unless the job ended in that state, at
// that try, after those calls.
func (s *stage) wants(what, id string, state ackbox.State, attempt int, got, want count) bool {
	s.t.Helper()
	e := s.entry(id)
	if e.State == state && e.Attempt == attempt && got == want {
		return true
	}
	s.t.Errorf("%s: %s at try %d, calls %+v, last error %.200q; want %s at try %d, calls %+v",
		what, e.State, e.Attempt, got, e.LastError, state, attempt, want)
	return false
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

// sees waits until ok.
func (s *stage) sees(what string, ok func() bool) {
	s.t.Helper()
	s.eventually(what, func() error {
		if !ok() {
			return errors.New("it is not so")
		}
		return nil
	})
}

func (s *stage) must(what string, err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatalf("%s: %v", what, err)
	}
}

// wait lets time pass in which something must not happen.
func (s *stage) wait(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.ctx.Done():
	}
}

// logBuffer collects what parts log.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer.
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

// lines counts the lines with all the texts.
func (b *logBuffer) lines(texts ...string) (n int) {
lines:
	for line := range strings.Lines(b.String()) {
		for _, text := range texts {
			if !strings.Contains(line, text) {
				continue lines
			}
		}
		n++
	}
	return n
}

func (b *logBuffer) logger() *slog.Logger { return slog.New(slog.NewTextHandler(b, nil)) }
