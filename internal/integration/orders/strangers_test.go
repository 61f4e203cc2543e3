package orders_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"gorm.io/gorm"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/dispatcher"
	"github.com/ackbox/ackbox/handler"
	"github.com/ackbox/ackbox/internal/testenv"
	"github.com/ackbox/ackbox/memory"
	"github.com/ackbox/ackbox/outbox"
	"github.com/ackbox/ackbox/rabbitmq"
	"github.com/ackbox/ackbox/worker"
)

// road is a broker that a whole application runs on.
type road interface {
	dispatcher.Broker
	worker.Broker
}

// application has a database of its own, or at least a table.
type application struct {
	t     *testing.T
	name  string
	db    *gorm.DB
	store *outbox.Store
	log   *logbook

	mu  sync.Mutex
	ran map[string]int // by id
}

type hello struct{ From string }

// Kind implements ackbox.Args.
func (hello) Kind() string { return "hello" }

// logbook is a log that can be searched.
type logbook struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write implements io.Writer.
func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// has reports whether one line has all of the words.
func (l *logbook) has(words ...string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.text.String()) {
		all := true
		for _, word := range words {
			all = all && strings.Contains(line, word)
		}
		if all {
			return true
		}
	}
	return false
}

// apply runs an application, dispatcher and worker, until the test ends.
func apply(t *testing.T, name string, db *gorm.DB, mq road, cfg outbox.Config) *application {
	t.Helper()
	a := &application{t: t, name: name, db: db, log: &logbook{}, ran: make(map[string]int)}
	logger := slog.New(slog.NewTextHandler(a.log, nil))
	var err error
	a.store, err = outbox.NewStore(db, cfg)
	a.must(err)
	a.must(a.store.Migrate(t.Context()))
	reg := handler.NewRegistry()
	handler.Register(reg, a)
	d, err := dispatcher.New(a.store, mq, dispatcher.Config{Logger: logger})
	a.must(err)
	w, err := worker.New(a.store, mq, reg, worker.Config{Logger: logger})
	a.must(err)
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	var running errgroup.Group
	running.Go(func() error { return d.Run(ctx) })
	running.Go(func() error { return w.Run(ctx) })
	t.Cleanup(func() {
		stop()
		a.must(running.Wait())
	})
	return a
}

// Consume implements handler.Typed.
func (a *application) Consume(_ context.Context, job handler.Job[hello]) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ran[job.ID]++
	if job.Args.From != a.name {
		a.t.Errorf("application %s runs a job of %s", a.name, job.Args.From)
	}
	return nil
}

func (a *application) must(err error) {
	a.t.Helper()
	if err != nil {
		a.t.Fatalf("%s: %v", a.name, err)
	}
}

func (a *application) enqueue(n int) {
	a.t.Helper()
	items := make([]outbox.Item, n)
	for i := range items {
		items[i] = outbox.Item{Args: hello{a.name}}
	}
	a.must(a.db.Transaction(func(tx *gorm.DB) error { return a.store.EnqueueAll(a.t.Context(), tx, items...) }))
}

// done waits until n jobs are done and says how many ran more than once.
func (a *application) done(n int, within time.Duration) {
	a.t.Helper()
	eventually(a.t, within, a.name+": all jobs are done", func() error {
		counts, err := a.store.Counts(a.t.Context())
		a.must(err)
		if counts[ackbox.Done] != n {
			return fmt.Errorf("the jobs are %v, want %d done", counts, n)
		}
		return nil
	})
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.ran) != n {
		a.t.Errorf("%s: %d jobs ran, want %d", a.name, len(a.ran), n)
	}
	for id, times := range a.ran {
		if times != 1 {
			a.t.Errorf("%s: job %s ran %d times", a.name, id, times)
		}
	}
}

// ladder makes the pauses of strays short.
var ladder = []time.Duration{100 * time.Millisecond, 300 * time.Millisecond}

// stranger makes testenv see somebody else, who needs a database of his own.
type stranger struct{ testing.TB }

// Two applications on one vhost, or two tables of one, consume a queue of the same
// name. Each job runs once, in its own application, and people are told.
func TestTwoApplicationsShareAQueue(t *testing.T) {
	t.Parallel()
	const jobs = 100
	both := func(t *testing.T, a, b *application) {
		t.Helper()
		began := time.Now()
		for _, app := range []*application{a, b} {
			app.enqueue(jobs)
		}
		for _, app := range []*application{a, b} {
			app.done(jobs, 20*time.Second)
		}
		t.Logf("%d jobs of two applications in %v", 2*jobs, time.Since(began).Round(time.Millisecond))
		mine, err := a.store.Identity(t.Context())
		a.must(err)
		theirs, err := b.store.Identity(t.Context())
		b.must(err)
		if mine == theirs {
			t.Fatalf("both ledgers are %s", mine)
		}
		if !a.log.has("level=ERROR", mine, theirs, "queue=default") && !b.log.has("level=ERROR", mine, theirs, "queue=default") {
			t.Error("nobody is told of both ledgers")
		}
	}
	rabbit := func(t *testing.T) road {
		t.Helper()
		mq, err := rabbitmq.New(rabbitmq.Config{URL: testenv.AMQPURL(t), RetryLadder: ladder, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = mq.Close() })
		return mq
	}
	t.Run("two databases", func(t *testing.T) {
		t.Parallel()
		both(t, apply(t, "shop", testenv.Postgres(t), rabbit(t), outbox.Config{}),
			apply(t, "staging", testenv.Postgres(&stranger{t}), rabbit(t), outbox.Config{}))
	})
	t.Run("two tables", func(t *testing.T) {
		t.Parallel()
		db := testenv.Postgres(t)
		both(t, apply(t, "shop", db, rabbit(t), outbox.Config{}), apply(t, "mail", db, rabbit(t), outbox.Config{Table: "mail_jobs"}))
	})
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		mq, err := memory.New(memory.Config{RetryLadder: ladder})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = mq.Close() })
		db := testenv.Postgres(t)
		both(t, apply(t, "shop", db, mq, outbox.Config{}), apply(t, "mail", db, mq, outbox.Config{Table: "mail_jobs"}))
	})
}
