//go:build unix

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/ackbox/ackbox/internal/testenv/apt"
)

// raceDetector reports whether tests can run under it. It needs a C compiler,
// which is installed if that is possible; if not, that is said loudly.
func raceDetector(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Minute)
	defer cancel()
	if goEnv(ctx, "CGO_ENABLED") == "0" {
		fmt.Fprintln(os.Stderr, "testall: running without the race detector, as CGO_ENABLED=0 asks")
		return false
	}
	if hasCompiler(ctx) {
		return true
	}
	var err error
	if apt.Usable() {
		fmt.Fprintln(os.Stderr, "testall: no C compiler for the race detector: installing gcc")
		err = apt.Install(ctx, filepath.Join(os.TempDir(), "ackbox-apt.log"), "gcc", "libc6-dev")
		if err == nil && hasCompiler(ctx) {
			return true
		}
	}
	fmt.Fprintln(os.Stderr, "testall: WARNING: running WITHOUT the race detector, because there is no C compiler: install gcc")
	if err != nil {
		fmt.Fprintln(os.Stderr, "testall:", err)
	}
	return false
}

func hasCompiler(ctx context.Context) bool {
	compiler := strings.Fields(goEnv(ctx, "CC")) // it may carry flags
	if len(compiler) == 0 {
		return false
	}
	_, err := exec.LookPath(compiler[0])
	return err == nil
}

// goEnv is a setting of the go command, or "" if it does not tell.
func goEnv(ctx context.Context, name string) string {
	out, err := exec.CommandContext(ctx, "go", "env", name).Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}
