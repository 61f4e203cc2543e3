package security_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/ackbox/ackbox"
)

// deadline bounds a test's waiting; it passes only if something hangs.
const deadline = 3 * time.Minute

// log collects all that is logged, down to the debug level.
type log struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (l *log) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// patient is a context for one test's waiting.
func patient(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	t.Cleanup(cancel)
	return ctx
}

// eventually asks until ok says yes.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	late := time.After(deadline)
	for !ok() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("did not come to pass: %s", what)
		}
	}
}

// background runs loops until the test ends, and wants nil from each.
func background(t *testing.T, loops ...func(context.Context) error) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	errs := make([]error, len(loops))
	var all sync.WaitGroup
	for i, run := range loops {
		all.Go(func() { errs[i] = run(ctx) })
	}
	t.Cleanup(func() {
		stop()
		all.Wait()
		if err := errors.Join(errs...); err != nil {
			t.Error(err)
		}
	})
}

// consumer is a Handler that does nothing about jobs that are given up.
type consumer func(context.Context, ackbox.Job) error

// Consume implements handler.Handler.
func (c consumer) Consume(ctx context.Context, job ackbox.Job) error { return c(ctx, job) }

// FailAction implements handler.Handler.
func (consumer) FailAction(context.Context, ackbox.Job, error) error { return nil }

// open opens a database without asking it anything, and closes it when the
// test ends.
func open(t *testing.T, dsn string) *gorm.DB {
	t.Helper()
	db, err := gorm.Open(postgres.Open(dsn), &gorm.Config{Logger: logger.Discard, DisableAutomaticPing: true})
	if err != nil {
		t.Fatal(err)
	}
	pool, err := db.DB()
	if err != nil {
		t.Fatal(err)
	}
	pool.SetMaxOpenConns(10)
	t.Cleanup(func() {
		if err := pool.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// lacks fails the test if text shows any of the secrets.
func lacks(t *testing.T, where, text string, secrets ...string) {
	t.Helper()
	for _, secret := range secrets {
		if strings.Contains(text, secret) {
			t.Errorf("%s shows %q:\n%s", where, secret, text)
		}
	}
}

func must(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}
