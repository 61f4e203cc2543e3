//go:build unix

package services

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ackbox/ackbox/internal/testenv"
	"github.com/ackbox/ackbox/internal/testenv/filelock"
	"github.com/ackbox/ackbox/internal/testenv/servers"
)

// needsServers fails a test that is run without `make test`.
func needsServers(t *testing.T) URLs {
	t.Helper()
	env, err := fromEnvironment(os.Getenv)
	if err != nil || env.Database == "" || env.AMQP == "" {
		t.Fatalf("no servers in the environment: run `make test`, or `make services-up` and export what it prints (%v)", err)
	}
	return env
}

func TestRunUsesTheServersOfTheEnvironmentAndLeavesNothing(t *testing.T) {
	env := needsServers(t)
	m := Manager{Root: t.TempDir(), Out: io.Discard}
	mine := errors.New("what the command returned")
	called := false
	err := m.Run(t.Context(), func(_ context.Context, got URLs) error {
		called = true
		if got != env {
			t.Errorf("URLs = %v, want %v", got, env)
		}
		return mine
	})
	if !called || !errors.Is(err, mine) {
		t.Errorf("Run: %v (called: %v), want %v", err, called, mine)
	}
	if left, err := filepath.Glob(filepath.Join(m.Root, "run-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestUpIsUsedByRunAndStoppedByDown(t *testing.T) {
	env := needsServers(t)
	m := Manager{Root: t.TempDir(), Out: io.Discard}
	if _, err := m.Current(t.Context()); err == nil {
		t.Error("Current found services before Up")
	}
	for range 2 { // the second finds the first one's
		if got, err := m.Up(t.Context()); err != nil || got != env {
			t.Fatalf("Up: %v, %v", got, err)
		}
	}
	err := m.Run(t.Context(), func(ctx context.Context, _ URLs) error {
		_, err := m.Current(ctx)
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if _, err := m.Current(t.Context()); err != nil {
		t.Errorf("a Run stopped what Up had left running: %v", err)
	}
	if err := m.Down(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Current(t.Context()); err == nil {
		t.Error("Current finds services after Down")
	}
}

func TestServerOfTheEnvironmentThatDoesNotAnswer(t *testing.T) {
	needsServers(t)
	t.Setenv(testenv.DatabaseVar, "postgres://u:hunter2@127.0.0.1:1/postgres?connect_timeout=1")
	m := Manager{Root: t.TempDir(), Out: io.Discard}
	_, err := m.Up(t.Context())
	if err == nil || !strings.Contains(err.Error(), testenv.DatabaseVar) || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("Up: %v, want an error that names %s and no password", err, testenv.DatabaseVar)
	}
}

func TestWhatAKilledRunLeftIsStopped(t *testing.T) {
	m := Manager{Root: t.TempDir(), Out: io.Discard}
	owners := map[string]servers.Process{
		"run-1": {ID: os.Getpid(), Birth: "another time"}, // its number was given to us
		"run-2": servers.Self(),
	}
	for dir, owner := range owners {
		dir = filepath.Join(m.Root, dir)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := newState(dir, owner).update(func(*state) {}); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Down(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(m.Root, "run-1")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a dead run's folder is still there: %v", err)
	}
	if _, err := os.Stat(filepath.Join(m.Root, "run-2")); err != nil {
		t.Errorf("a live run's folder was removed: %v", err)
	}
}

func TestLockIsHeldAgainstOthers(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	unlock, err := filelock.Take(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(t.Context(), 250*time.Millisecond)
	defer cancel()
	if second, err := filelock.Take(short, root); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a second lock: %v", err)
		if err == nil {
			second()
		}
	}
	unlock()
	again, err := filelock.Take(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	again()
}
