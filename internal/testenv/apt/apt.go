//go:build unix

package apt

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// deadline bounds one Install: package lists, download and unpacking.
const deadline = 15 * time.Minute

// policyFile is what Debian's maintainer scripts ask before they start a
// service; exit status 101 means "do not".
const policyFile = "/usr/sbin/policy-rc.d"

// Usable reports whether Install can work here: apt-get is there and this
// process may use it.
func Usable() bool {
	if os.Geteuid() != 0 {
		return false
	}
	_, err := exec.LookPath("apt-get")
	return err == nil
}

// Install installs packages, without recommended ones and without starting a
// service that they bring along. Output goes to logFile, whose end is part of
// the error if something fails.
func Install(ctx context.Context, logFile string, packages ...string) (err error) {
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	if err := os.MkdirAll(filepath.Dir(logFile), 0o750); err != nil {
		return fmt.Errorf("install %v: %w", packages, err)
	}
	log, err := os.Create(logFile)
	if err != nil {
		return fmt.Errorf("install %v: %w", packages, err)
	}
	defer func() { err = errors.Join(err, log.Close()) }()

	allow, err := forbidServices()
	if err != nil {
		return fmt.Errorf("install %v: %w", packages, err)
	}
	defer func() { err = errors.Join(err, allow()) }()

	install := []string{"install", "-y", "--no-install-recommends"}
	for _, args := range [][]string{{"update"}, append(install, packages...)} {
		// Another apt may hold the lock: wait for it instead of failing.
		args = append([]string{"-o", "DPkg::Lock::Timeout=300"}, args...)
		cmd := exec.CommandContext(ctx, "apt-get", args...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		cmd.Stdout, cmd.Stderr = log, log
		cmd.WaitDelay = 5 * time.Second
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("apt-get %v: %w; the end of its output:\n%s", args, err, tail(logFile))
		}
	}
	return nil
}

// tail returns the last lines of a log, or why it cannot.
func tail(logFile string) string {
	raw, err := os.ReadFile(logFile)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(raw)), "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "\n")
}

// forbidServices keeps packages from starting services until the returned
// function is called. A policy that is there already is the machine owner's
// and stays in force.
func forbidServices() (allow func() error, err error) {
	f, err := os.OpenFile(policyFile, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if errors.Is(err, os.ErrExist) {
		return func() error { return nil }, nil
	}
	if err != nil {
		return nil, fmt.Errorf("forbid services: %w", err)
	}
	_, err = f.WriteString("#!/bin/sh\n# Ackbox's test environment is installing packages; it removes this file.\nexit 101\n")
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("forbid services: %w", errors.Join(err, os.Remove(policyFile)))
	}
	return func() error { return os.Remove(policyFile) }, nil
}
