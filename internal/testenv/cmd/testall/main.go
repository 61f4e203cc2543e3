//go:build unix

// Command testall runs the tests of every module of go.work with the race
// detector and in random order, and prints a line per package, what failed, and
// the total.
//
//	testall [flags of go test] [-- packages]
//
// A run that executed no test fails, and so does one that skipped a test: it
// would look like one that passed.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/ackbox/ackbox/internal/testenv/workspace"
)

// atOnce is how many packages are tested at the same time. A package of ours keeps two
// thirds of a processor busy, it waits so much, so one more than there are processors;
// and not many, because they share the servers and their connections.
func atOnce() int { return min(4, runtime.NumCPU()+1) }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "testall:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags, packages := args, []string(nil)
	if i := slices.Index(args, "--"); i >= 0 {
		flags, packages = args[:i], args[i+1:]
	}
	if len(packages) == 0 {
		modules, err := workspace.Modules(ctx)
		if err != nil {
			return err
		}
		for _, dir := range modules {
			packages = append(packages, dir+string(filepath.Separator)+"...")
		}
	}
	test := []string{"test", "-json", "-shuffle=on", "-timeout=13m", "-p=" + strconv.Itoa(atOnce())}
	if raceDetector(ctx) {
		test = append(test, "-race")
	}
	test = append(append(test, flags...), packages...)
	r := newReport(os.Stdout)
	err := goTest(ctx, test, r.read)
	return r.finish(err)
}

// goTest runs the go command in a process group of its own, so that a signal to
// us reaches the tests as well, which the go command would not tell.
func goTest(ctx context.Context, args []string, read func(io.Reader) error) error {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("go test: %w", err)
	}
	errRead := read(bufio.NewReader(stdout))
	if err := cmd.Wait(); err != nil {
		return errors.Join(errRead, fmt.Errorf("go test: %w", err))
	}
	return errRead
}
