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
	out, err := exec.CommandContext(ctx, "go", "env", "CC").Output()
	if err != nil {
		return false
	}
	compiler := strings.Fields(string(out)) // it may carry flags
	if len(compiler) == 0 {
		return false
	}
	_, err = exec.LookPath(compiler[0])
	return err == nil
}
