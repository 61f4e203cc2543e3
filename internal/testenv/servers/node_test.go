//go:build unix

package servers

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
)

func contains(err error, text string) bool { return strings.Contains(err.Error(), text) }

// node is what those with data have in common, as a fault test uses it.
type node interface {
	runner
	Freeze() error
	Thaw() error
	Wipe() error
	PID() int
}

// runner is what all have in common.
type runner interface {
	Start(context.Context) error
	Stop(context.Context) error
	Kill(context.Context) error
	Remove() error
}

// started starts a node that is stopped and removed when the test ends.
func started(t *testing.T, n runner, err error) {
	t.Helper()
	if errors.Is(err, ErrNotInstalled) {
		t.Fatalf("this test starts a node of its own: install the server's programs: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(n.Kill(context.Background()), n.Stop(context.Background()), n.Remove()); err != nil {
			t.Error(err)
		}
	})
	if err := n.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// disturb freezes, thaws, kills, wipes and restarts a node that ping reaches.
func disturb(t *testing.T, n node, ping func(context.Context) error) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(ping(t.Context()))
	must(n.Freeze())
	short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := ping(short); err == nil {
		t.Error("a frozen node answers")
	}
	must(n.Thaw())
	must(ping(t.Context()))
	if err := n.Wipe(); err == nil {
		t.Error("a running node was wiped")
	}
	before := n.PID()
	must(n.Kill(t.Context()))
	if err := ping(t.Context()); err == nil {
		t.Error("a killed node answers")
	}
	must(n.Wipe())
	must(n.Start(t.Context()))
	if n.PID() == before {
		t.Error("it has not been started again")
	}
	must(ping(t.Context()))
}

func TestPostgresNode(t *testing.T) {
	t.Parallel()
	n, err := NewPostgres(PostgresOptions{Config: []string{"max_connections=20"}})
	started(t, n, err)
	disturb(t, n, func(ctx context.Context) error { return PingPostgres(ctx, n.URL()) })

	// A node that was saved can be stopped by another process.
	raw, err := json.Marshal(n)
	if err != nil {
		t.Fatal(err)
	}
	var same Postgres
	if err := json.Unmarshal(raw, &same); err != nil {
		t.Fatal(err)
	}
	if err := same.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n.Process.Alive() {
		t.Error("it is still there")
	}
}

func TestRabbitMQNode(t *testing.T) {
	t.Parallel()
	n, err := NewRabbitMQ(RabbitMQOptions{Config: []string{"heartbeat = 7"}})
	started(t, n, err)
	disturb(t, n, func(ctx context.Context) error { return PingRabbitMQ(ctx, n.URL(), n.API()) })
	out, err := n.Ctl(t.Context(), "environment")
	if err != nil || !strings.Contains(out, "{heartbeat,7}") {
		t.Errorf("rabbitmqctl environment: %v, without the node's heartbeat", err)
	}
	if _, err := n.Ctl(t.Context(), "no_such_command"); err == nil {
		t.Error("rabbitmqctl's failure was lost")
	}
}
