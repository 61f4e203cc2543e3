//go:build linux

package newer

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

// Inside is the first process of the new namespaces: if args are those of one, it
// mounts, moves in, runs the command and ends this program with its status.
func Inside(args []string) {
	if len(args) != 2 || args[0] != inside {
		return
	}
	status, err := settle(args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "newer:", err)
		status = 1
	}
	os.Exit(status)
}

func settle(raw string) (status int, err error) {
	var p plan
	if err := json.Unmarshal([]byte(raw), &p); err != nil {
		return 0, err
	}
	if err := p.mount(); err != nil {
		return 0, err
	}
	if err := errors.Join(syscall.Chroot(p.Root), os.Chdir(p.Dir)); err != nil {
		return 0, fmt.Errorf("enter %s: %w", p.Root, err)
	}
	os.Clearenv()
	for _, v := range p.Env {
		name, value, _ := strings.Cut(v, "=")
		if err := os.Setenv(name, value); err != nil {
			return 0, err
		}
	}
	if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil { //nolint:noctx // it answers at once
		return 0, fmt.Errorf("bring loopback up: %w\n%s", err, out)
	}
	return run(p.Command)
}

// mount makes the root folder ready. Nothing of it is seen outside.
func (p plan) mount() error {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	for _, m := range append([]mount{{From: "/dev", To: "/dev"}}, p.Mounts...) {
		if err := m.do(p.Root); err != nil {
			return fmt.Errorf("mount %s: %w", m.To, err)
		}
	}
	for to, kind := range map[string]string{"proc": "proc", "dev/shm": "tmpfs"} {
		target := filepath.Join(p.Root, to)
		if err := os.MkdirAll(target, 0o755); err != nil {
			return err
		}
		if err := syscall.Mount(kind, target, kind, syscall.MS_NOSUID|syscall.MS_NODEV, ""); err != nil {
			return fmt.Errorf("mount %s: %w", to, err)
		}
	}
	return nil
}

func (m mount) do(root string) error {
	target := filepath.Join(root, m.To)
	if err := os.MkdirAll(target, 0o755); err != nil && !errors.Is(err, syscall.EROFS) {
		return err
	}
	if err := syscall.Mount(m.From, target, "", syscall.MS_BIND|syscall.MS_REC, ""); err != nil {
		return err
	}
	if !m.ReadOnly {
		return nil
	}
	return syscall.Mount("", target, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, "")
}

// run runs the command and waits for it. Whatever it leaves running has us for a
// parent: it is waited for as it ends, and ends with us.
func run(command []string) (status int, err error) {
	path, err := exec.LookPath(command[0])
	if err != nil {
		return 0, err
	}
	pid, err := syscall.ForkExec(path, command, &syscall.ProcAttr{Env: os.Environ(), Files: []uintptr{0, 1, 2}})
	if err != nil {
		return 0, fmt.Errorf("run %s: %w", path, err)
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() { // ends with this process
		for range signals {
			_ = syscall.Kill(pid, syscall.SIGTERM) // it may have ended
		}
	}()
	for {
		var ws syscall.WaitStatus
		ended, err := syscall.Wait4(-1, &ws, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR), ended != pid && err == nil:
		case err != nil:
			return 0, fmt.Errorf("wait for %s: %w", path, err)
		case ws.Signaled():
			return 128 + int(ws.Signal()), nil
		default:
			return ws.ExitStatus(), nil
		}
	}
}
