// Package messages_test runs what docs/messages.md recommends on real servers: taking a
// queue over from an older receiver, and consuming one's own events.
package messages_test

import (
	"context"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"go.uber.org/goleak"

	"github.com/ackbox/ackbox"
	"github.com/ackbox/ackbox/rabbitmq"
)

// migrate is the binary of examples/migrate, built once.
var migrate string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "migrate")
	if err != nil {
		panic(err)
	}
	migrate = filepath.Join(dir, "migrate")
	build := exec.Command("go", "build", "-o", migrate, "./migrate")
	build.Dir = filepath.Join("..", "..", "..", "examples")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		panic("build examples/migrate: " + err.Error())
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(dir)
		os.Exit(code)
	}))
}

// channel is one of somebody who knows nothing of Ackbox.
func channel(t *testing.T, url string) *amqp.Channel {
	t.Helper()
	conn, err := amqp.Dial(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Logf("close a connection: %v", err)
		}
	})
	ch, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	return ch
}

// open makes a broker that is closed when the test ends.
func open(t *testing.T, url string, topology ackbox.Topology) *rabbitmq.Broker {
	t.Helper()
	b, err := rabbitmq.New(rabbitmq.Config{
		URL: url, Topology: topology, MaxBackoff: 200 * time.Millisecond, Logger: slog.New(slog.DiscardHandler),
		RetryLadder: []time.Duration{100 * time.Millisecond, time.Second},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return b
}

// eventually waits until check has no error.
func eventually(t *testing.T, what string, check func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check(ctx)
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s: not within a minute: %v", what, err)
		}
	}
}
