//go:build linux

// Command newer runs a command, in this checkout, inside a root folder of Debian's
// next release. See package newer, and `make test-newer`.
//
//	newer -- CMD...
//
// Its exit status is the command's.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/ackbox/ackbox/internal/testenv/newer"
)

func main() {
	newer.Inside(os.Args[1:]) // does not return if that is what we are
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := run(ctx, os.Args[1:])
	stop()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		os.Exit(max(exit.ExitCode(), 1))
	case err != nil:
		fmt.Fprintln(os.Stderr, "newer:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) < 2 || args[0] != "--" {
		return errors.New("usage: newer -- CMD..., in the repository's folder")
	}
	here, err := os.Getwd()
	if err != nil {
		return err
	}
	if _, err := os.Stat("go.work"); err != nil {
		return fmt.Errorf("run this in the repository's folder: %w", err)
	}
	return newer.Root{Dir: filepath.Join(here, ".newer"), Checkout: here, Out: os.Stderr}.Run(ctx, args[1:])
}
