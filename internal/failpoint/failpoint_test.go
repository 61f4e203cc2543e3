package failpoint_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ackbox/ackbox/internal/failpoint"
)

// What users build has nothing of this package in it but its name.
func TestNormalBuildHasNone(t *testing.T) {
	t.Parallel()
	if failpoint.Enabled {
		t.Fatal("the tests themselves are built with failpoints")
	}
	symbols := build(t)
	if !strings.Contains(symbols, "outbox.(*Store).Relay") {
		t.Fatal("the probe does not contain what it shall prove")
	}
	if strings.Contains(symbols, "internal/failpoint.") {
		t.Error("a normal build contains code of package failpoint")
	}
}

func TestTaggedBuildHasThem(t *testing.T) {
	t.Parallel()
	if symbols := build(t, "-tags", "ackbox_failpoints"); !strings.Contains(symbols, "internal/failpoint.Hit") {
		t.Error("a build with the tag does not contain failpoint.Hit")
	}
}

// build links a program that relays and returns its symbols.
func build(t *testing.T, flags ...string) string {
	t.Helper()
	dir := t.TempDir()
	const program = `package main
import "github.com/ackbox/ackbox/outbox"
var Relay = (*outbox.Store).Relay
func main() { if Relay == nil { panic("no Relay") } }`
	source, binary := filepath.Join(dir, "main.go"), filepath.Join(dir, "probe")
	if err := os.WriteFile(source, []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) string {
		out, err := exec.CommandContext(t.Context(), "go", args...).CombinedOutput()
		if err != nil {
			t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	run(append(append([]string{"build", "-o", binary}, flags...), source)...)
	return run("tool", "nm", binary)
}
