//go:build unix

// Command mutants breaks one invariant after the other in a copy of the code
// and runs the tests that must notice: a check that cannot fail proves nothing.
// It changes no file: the go command is given the broken one in place of the
// whole one (-overlay).
//
//	mutants [-only TEXT]
//
// It needs the servers of `make services-up`, and is run by `make mutants`. Its
// status is 1 if a mutant survives.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

func main() {
	only := flag.String("only", "", "only mutants whose name contains this")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *only)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, only string) (err error) {
	root, err := repository(ctx)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "ackbox-mutants-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	tried, survived := 0, 0
	for _, m := range mutants {
		if !strings.Contains(m.name, only) {
			continue
		}
		overlay, err := m.overlay(root, dir)
		if err != nil {
			return err
		}
		for _, s := range m.tests {
			tried++
			began := time.Now()
			verdict, err := s.judge(ctx, root, overlay)
			if err != nil {
				return fmt.Errorf("%s: %w", m.name, err)
			}
			if verdict != "killed" {
				survived++
			}
			fmt.Printf("%-8s  invariant %2d: %s (%s %s, %.0f s)\n", verdict, m.invariant, m.name, s.pkg, s.test, time.Since(began).Seconds())
		}
	}
	switch {
	case tried == 0:
		return fmt.Errorf("no mutant's name contains %q", only)
	case survived > 0:
		return fmt.Errorf("%d of %d tests did not notice", survived, tried)
	}
	fmt.Printf("mutants: %d killed, 0 survived\n", tried)
	return nil
}

// overlay writes the broken file and the map that puts it in the place of the
// whole one.
func (m mutant) overlay(root, dir string) (string, error) {
	whole := filepath.Join(root, filepath.FromSlash(m.file))
	text, err := os.ReadFile(whole)
	if err != nil {
		return "", err
	}
	if n := strings.Count(string(text), m.from); n != 1 {
		return "", fmt.Errorf("%s: %s has %d places to change, want 1: the code has moved on, so must this mutant", m.name, m.file, n)
	}
	broken, overlay := filepath.Join(dir, "broken.go"), filepath.Join(dir, "overlay.json")
	list, err := json.Marshal(map[string]any{"Replace": map[string]string{whole: broken}})
	if err != nil {
		return "", err
	}
	return overlay, errors.Join(
		os.WriteFile(broken, []byte(strings.Replace(string(text), m.from, m.to, 1)), 0o600),
		os.WriteFile(overlay, list, 0o600))
}

// judge runs the tests against the mutant. A mutant that does not compile, or a
// test that does not exist, is an error and not a kill.
func (s suite) judge(ctx context.Context, root, overlay string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "test", "-count=1", "-timeout=9m", "-run", "^"+s.test+"$", "./"+s.pkg)
	cmd.Dir, cmd.WaitDelay = root, 10*time.Second
	// In GOFLAGS, so that programs which the tests build are broken, too.
	cmd.Env = append(os.Environ(), "GOFLAGS=-overlay="+overlay)
	out, err := cmd.CombinedOutput()
	text := string(out)
	switch {
	case ctx.Err() != nil:
		return "", fmt.Errorf("%s: %w", s.test, ctx.Err())
	case strings.Contains(text, "no tests to run"):
		return "", fmt.Errorf("package %s has no test %s", s.pkg, s.test)
	case err == nil:
		return "SURVIVED", nil
	// A test that ends the whole process has noticed as well.
	case strings.Contains(text, "--- FAIL: "+s.test) || strings.Contains(text, "panic:"):
		return "killed", nil
	}
	return "", fmt.Errorf("%s: %w\n%s", s.test, err, text)
}

// repository is the folder of go.work.
func repository(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOWORK").Output()
	file := strings.TrimSpace(string(out))
	if err != nil || file == "" || file == "off" {
		return "", errors.New("no go.work here: run this inside the repository")
	}
	return filepath.Dir(file), nil
}
