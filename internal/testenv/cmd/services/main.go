//go:build unix

// Command services starts and stops the PostgreSQL and the RabbitMQ that the
// tests run against.
//
//	services up            start what is missing, leave it running, print its URLs
//	services down          stop exactly what was started
//	services install       find or install the servers' programs, start nothing
//	services urls          print the URLs of what is running
//	services run -- CMD    run CMD with servers; its exit status is ours
//
// URLs are printed as `export` lines for a shell; everything else goes to
// stderr. Package services says where servers are looked for.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/ackbox/ackbox/internal/testenv/services"
)

const usage = "usage: services up | down | install | urls | run -- CMD..."

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := run(ctx, os.Args[1:])
	stop()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		os.Exit(exitStatus(exit))
	case err != nil:
		fmt.Fprintln(os.Stderr, "services:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	root, err := repository()
	if err != nil {
		return err
	}
	m := services.Manager{Root: filepath.Join(root, ".services"), Out: os.Stderr}
	switch {
	case len(args) == 1 && args[0] == "up":
		return show(m.Up(ctx))
	case len(args) == 1 && args[0] == "urls":
		return show(m.Current(ctx))
	case len(args) == 1 && args[0] == "down":
		return m.Down(ctx)
	case len(args) == 1 && args[0] == "install":
		return m.Install(ctx)
	case len(args) > 2 && args[0] == "run" && args[1] == "--":
		return m.Run(ctx, func(ctx context.Context, urls services.URLs) error {
			return command(ctx, args[2:], urls)
		})
	}
	return errors.New(usage)
}

func show(urls services.URLs, err error) error {
	if err != nil {
		return err
	}
	for _, v := range urls.Environ() {
		name, value, _ := strings.Cut(v, "=")
		fmt.Printf("export %s='%s'\n", name, strings.ReplaceAll(value, "'", `'\''`))
	}
	return nil
}

// command runs CMD in the foreground. A signal to us is passed on, and CMD has
// half a minute to end by itself.
func command(ctx context.Context, args []string, urls services.URLs) error {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = append(os.Environ(), urls.Environ()...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 30 * time.Second
	return cmd.Run()
}

// exitStatus is what a shell would report for a command.
func exitStatus(err *exec.ExitError) int {
	if st, ok := err.Sys().(syscall.WaitStatus); ok && st.Signaled() {
		return 128 + int(st.Signal())
	}
	return err.ExitCode()
}

// repository finds the folder of go.work, from the working directory up.
func repository() (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.work")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("no go.work above %s: run this inside the repository", start)
		}
	}
}
