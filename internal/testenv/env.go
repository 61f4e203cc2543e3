package testenv

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// The variables that say where the servers are. `make test` sets them.
const (
	// DatabaseVar names the URL of a PostgreSQL database whose user may create
	// databases.
	DatabaseVar = "ACKBOX_TEST_DATABASE_URL"
	// AMQPVar names the amqp or amqps URL of a RabbitMQ server.
	AMQPVar = "ACKBOX_TEST_AMQP_URL"
	// APIVar names the URL of the same server's management API, with the name
	// and the password of an administrator in it.
	APIVar = "ACKBOX_TEST_RABBITMQ_API"
)

// deadline bounds what a helper asks of a server.
const deadline = 30 * time.Second

// variable returns an environment variable, or an error that says how to get
// the server it stands for.
func variable(name string) (string, error) {
	if v := os.Getenv(name); v != "" {
		return v, nil
	}
	return "", fmt.Errorf("%s is not set: run `make test`, or `make services-up` and export what it prints", name)
}

// randomName returns a name that nobody else has, safe as an SQL identifier and
// in a URL.
func randomName() string { return "ackbox_" + strings.ToLower(rand.Text()[:16]) }

// perTest keeps one value for each running test.
type perTest[T any] struct {
	mu     sync.Mutex
	values map[testing.TB]T
}

// get returns the test's value, made by open at the first call. What open
// returns beside it is called when the test ends.
func (p *perTest[T]) get(tb testing.TB, open func(context.Context) (T, func(context.Context) error, error)) T {
	tb.Helper()
	p.mu.Lock()
	v, ok := p.values[tb]
	p.mu.Unlock()
	if ok {
		return v
	}
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	v, closeFn, err := open(ctx)
	if err != nil {
		tb.Fatalf("testenv: %v", err)
	}
	p.mu.Lock()
	if p.values == nil {
		p.values = make(map[testing.TB]T)
	}
	p.values[tb] = v
	p.mu.Unlock()
	tb.Cleanup(func() {
		p.mu.Lock()
		delete(p.values, tb)
		p.mu.Unlock()
		ctx, cancel := context.WithTimeout(context.Background(), deadline)
		defer cancel()
		if err := closeFn(ctx); err != nil {
			tb.Errorf("testenv: clean up: %v", err)
		}
	})
	return v
}

// call runs one request to a server under the helpers' deadline and fails the
// test if it fails.
func call(tb testing.TB, what string, do func(context.Context) error) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	if err := do(ctx); err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			err = fmt.Errorf("no answer within %v: %w", deadline, err)
		}
		tb.Fatalf("testenv: %s: %v", what, err)
	}
}
