//go:build unix

// Package program runs a program of this repository as its users would: built
// once, started as a process of its own, ended with the test.
package program

import (
	"fmt"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	starting = 20 * time.Second // until a program listens
	stopping = time.Minute      // from SIGTERM to its end
)

// Build builds the package pkg of the module in dir to path. What the compiler
// says goes to stderr.
func Build(dir, pkg, path string, stderr io.Writer) error {
	cmd := exec.Command("go", "build", "-o", path, pkg) //nolint:noctx // it ends by itself
	cmd.Dir, cmd.Stderr = dir, stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("build %s: %w", pkg, err)
	}
	return nil
}

// Process is a running program. Its methods are for the test's goroutine.
type Process struct {
	tb   testing.TB
	name string
	cmd  *exec.Cmd
	log  *log
	done chan error
}

// Start runs the program at path with arguments and, beside our own, environment
// variables, until the test ends. name is what failures call it; the end of what
// it wrote to stderr is logged if the test has failed.
func Start(tb testing.TB, name, path string, args, env []string) *Process {
	tb.Helper()
	p := &Process{tb: tb, name: name, log: &log{}, done: make(chan error, 1)}
	p.cmd = exec.Command(path, args...) //nolint:noctx // ended by Kill
	p.cmd.Env = append(p.cmd.Environ(), env...)
	p.cmd.Stderr = p.log
	if err := p.cmd.Start(); err != nil {
		tb.Fatalf("start %s: %v", name, err)
	}
	go func() { p.done <- p.cmd.Wait() }() // ends with the process, which Cleanup ends
	tb.Cleanup(func() {
		p.Kill()
		if tb.Failed() {
			tb.Logf("log of %s:\n%s", name, p.log.tail(40))
		}
	})
	return p
}

// Kill ends the process with SIGKILL and waits for its end.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // it may have ended by itself
	_ = p.Wait()
}

// Terminate asks the process to stop and fails the test if it does not, with
// status 0, within a minute.
func (p *Process) Terminate() {
	p.tb.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.tb.Fatalf("terminate %s: %v", p.name, err)
	}
	select {
	case err := <-p.done:
		p.done <- err
		if err != nil {
			p.tb.Errorf("%s ended with %v", p.name, err)
		}
	case <-time.After(stopping):
		p.tb.Fatalf("%s does not stop on SIGTERM", p.name)
	}
}

// Wait waits until the process has ended, and says how.
func (p *Process) Wait() error {
	err := <-p.done
	p.done <- err
	return err
}

// Log returns what the process wrote to stderr.
func (p *Process) Log() string { return p.log.String() }

// Address returns the URL of the addr that the process logs, as text, with the
// message once it listens. It waits for that line.
func (p *Process) Address(message string) string {
	p.tb.Helper()
	deadline, tick := time.After(starting), time.NewTicker(20*time.Millisecond)
	defer tick.Stop()
	for {
		for line := range strings.Lines(p.Log()) {
			if _, rest, ok := strings.Cut(line, fmt.Sprintf("msg=%q", message)); ok {
				_, value, _ := strings.Cut(rest, "addr=")
				addr, _, _ := strings.Cut(strings.TrimSpace(value), " ")
				return "http://" + addr
			}
		}
		select {
		case err := <-p.done:
			p.done <- err
			p.tb.Fatalf("%s ended before it listened: %v", p.name, err)
		case <-deadline:
			p.tb.Fatalf("%s does not listen after %v", p.name, starting)
		case <-tick.C:
		}
	}
}
