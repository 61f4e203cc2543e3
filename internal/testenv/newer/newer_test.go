//go:build linux

package newer

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestMirror(t *testing.T) {
	t.Parallel()
	const targets = "http://security.example/debian-security/ oldone-security main\n" +
		"http://mirror.example/debian/ oldone contrib\nhttp://mirror.example/debian/ oldone main\n"
	mirror, err := mirrorIn("ID=debian\nVERSION_CODENAME=oldone\n", targets)
	if err != nil || mirror != "http://mirror.example/debian/" {
		t.Errorf("%q, %v", mirror, err)
	}
	for system, want := range map[string]string{
		"ID=fedora\n":                           "fedora",
		"ID=debian\nVERSION_CODENAME=another\n": "no mirror",
	} {
		if _, err := mirrorIn(system, targets); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("on %q: %v", system, err)
		}
	}
}

func TestMountsAreSeen(t *testing.T) {
	t.Parallel()
	const mounts = "1 2 0:5 / / rw - ext4 /dev/a rw\n2 1 0:6 / /work/root/src rw - ext4 /dev/a rw\n"
	if at := mountedIn("/work/root", mounts); at != "/work/root/src" {
		t.Errorf("the mount in the folder is %q", at)
	}
	if at := mountedIn("/work/roo", mounts); at != "" {
		t.Errorf("%s is not in /work/roo", at)
	}
}

// Orphans end, the command's status is kept, and a command that is missing is said.
func TestRunKeepsTheStatus(t *testing.T) {
	if os.Getenv("NEWER_RUN") != "" {
		status, err := run(strings.Fields(os.Getenv("NEWER_RUN")))
		if err != nil {
			status = 99
		}
		os.Exit(status)
	}
	t.Parallel()
	for command, want := range map[string]int{"true": 0, "false": 1, "no-such-command": 99} {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestRunKeepsTheStatus$")
		cmd.Env = append(os.Environ(), "NEWER_RUN="+command)
		_ = cmd.Run() // its status says all
		if got := cmd.ProcessState.ExitCode(); got != want {
			t.Errorf("%s ends with %d, want %d", command, got, want)
		}
	}
}

func TestOnlyRoot(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "newer")
	if os.Geteuid() == 0 {
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // before it makes anything
		if err := (Root{Dir: dir, Out: io.Discard}).Run(ctx, []string{"true"}); err == nil {
			t.Error("it has run")
		}
		return
	}
	err := Root{Dir: dir, Out: io.Discard}.Run(t.Context(), []string{"true"})
	if err == nil || !strings.Contains(err.Error(), "only root") {
		t.Errorf("without root: %v", err)
	}
}
