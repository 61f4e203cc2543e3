//go:build unix

package program_test

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ackbox/ackbox/internal/testenv/program"
)

// script writes a shell script, which stands for a program.
func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestProcess(t *testing.T) {
	t.Parallel()
	path := script(t, `trap 'echo msg=stopping >&2; exit 0' TERM
echo "level=INFO msg=\"it listens\" addr=127.0.0.1:$PORT role=$1" >&2
while :; do sleep 0.05; done
`)
	p := program.Start(t, "script", path, []string{"web"}, []string{"PORT=1234"})
	if got := p.Address("it listens"); got != "http://127.0.0.1:1234" {
		t.Errorf("address %q", got)
	}
	p.Terminate()
	if !strings.Contains(p.Log(), "role=web") || !strings.HasSuffix(p.Log(), "msg=stopping\n") {
		t.Errorf("log %q", p.Log())
	}
	p.Kill() // of one that has ended
	if err := p.Wait(); err != nil {
		t.Errorf("it ended with %v", err)
	}
}

func TestKillEndsOneThatDoesNotListen(t *testing.T) {
	t.Parallel()
	p := program.Start(t, "script", script(t, "trap '' TERM\nwhile :; do sleep 0.05; done\n"), nil, nil)
	p.Kill()
	if err := p.Wait(); err == nil {
		t.Error("a killed process ended with status 0")
	}
}

func TestBuildFails(t *testing.T) {
	t.Parallel()
	if err := program.Build(t.TempDir(), "./nothing", filepath.Join(t.TempDir(), "x"), io.Discard); err == nil {
		t.Error("a folder without a package was built")
	}
}
