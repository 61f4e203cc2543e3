// Command eachmodule runs a command in the folder of every module of go.work
// that holds a package, also after one of them failed.
//
//	eachmodule golangci-lint run ./...
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/ackbox/ackbox/internal/testenv/workspace"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "eachmodule:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, command []string) error {
	if len(command) == 0 {
		return errors.New("usage: eachmodule CMD...")
	}
	modules, err := workspace.Modules(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, dir := range modules {
		fmt.Fprintf(os.Stderr, "%s: %s\n", dir, strings.Join(command, " "))
		cmd := exec.CommandContext(ctx, command[0], command[1:]...)
		cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = dir, os.Stdout, os.Stderr, 10*time.Second
		if err := cmd.Run(); err != nil {
			errs = append(errs, fmt.Errorf("module %s: %w", dir, err))
		}
	}
	return errors.Join(errs...)
}
