//go:build unix

package site

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/ackbox/ackbox/internal/failpoint"
	"github.com/ackbox/ackbox/internal/integration/shop"
	"github.com/ackbox/ackbox/internal/testenv/servers"
)

// Build builds shopd with failpoints into dir and returns its path. root is the
// folder of this module, internal/integration, or any below it.
func Build(ctx context.Context, dir string) (string, error) {
	path := dir + "/shopd"
	cmd := exec.CommandContext(ctx, "go", "build", "-tags", "ackbox_failpoints", "-o", path,
		"github.com/ackbox/ackbox/internal/integration/cmd/shopd")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build shopd: %w\n%s", err, out)
	}
	return path, nil
}

// Process is a running shopd.
type Process struct {
	cmd  *exec.Cmd
	log  *tail
	done chan struct{} // closed when it has ended and its output is read
	err  error         // how it ended; valid after done

	mu      sync.Mutex
	reports []shop.Report
}

// Start starts the shopd at path as cfg says. traps are failpoints, such as
// "outbox.published=kill:1"; none is the normal case.
func Start(path string, cfg shop.Config, traps ...string) (*Process, error) {
	text, err := json.Marshal(cfg)
	if err != nil {
		return nil, fmt.Errorf("encode the configuration: %w", err)
	}
	p := &Process{log: &tail{}, done: make(chan struct{})}
	p.cmd = exec.Command(path) //nolint:noctx // ended by Kill or Terminate
	p.cmd.Env = append(p.cmd.Environ(), "SHOP_CONFIG="+string(text), failpoint.Variable+"="+strings.Join(traps, ","))
	p.cmd.Stderr = p.log
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start shopd: %w", err)
	}
	go func() { // ends with the process; Kill and Wait await it
		defer close(p.done)
		p.read(out)
		p.err = p.cmd.Wait()
	}()
	return p, nil
}

func (p *Process) read(out io.Reader) {
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		var r shop.Report
		if json.Unmarshal(lines.Bytes(), &r) == nil {
			p.mu.Lock()
			p.reports = append(p.reports, r)
			p.mu.Unlock()
		}
	}
}

// PID is the process's id, whether it still runs or not.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Reports returns what the process has told about itself so far.
func (p *Process) Reports() []shop.Report {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]shop.Report(nil), p.reports...)
}

// Log returns the end of what the process has logged.
func (p *Process) Log() string { return p.log.String() }

// Kill ends the process with SIGKILL and waits until it is gone.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // it may have ended by itself
	<-p.done
}

// Terminate sends SIGTERM and waits for the end. The error says that it did not
// end within limit, and was killed, or that it ended with another status than 0.
func (p *Process) Terminate(limit time.Duration) error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("terminate shopd: %w", err)
	}
	if !p.ended(limit) {
		p.Kill()
		return fmt.Errorf("shopd did not end within %v of SIGTERM", limit)
	}
	return p.err
}

// Wait waits until the process has ended, as one does that a failpoint kills.
func (p *Process) Wait(limit time.Duration) error {
	if !p.ended(limit) {
		return fmt.Errorf("shopd is still running after %v", limit)
	}
	return nil
}

// Killed reports whether the process has ended by SIGKILL.
func (p *Process) Killed() bool {
	if !p.ended(0) {
		return false
	}
	var exit *exec.ExitError
	if !errors.As(p.err, &exit) {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}

// Running reports whether the process has not ended.
func (p *Process) Running() bool { return !p.ended(0) }

func (p *Process) ended(limit time.Duration) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-p.done:
		return true
	default:
	}
	select {
	case <-p.done:
		return true
	case <-timer.C:
		return false
	}
}

// Freeze stops the process with SIGSTOP, Thaw lets it go on.
func (p *Process) Freeze() error { return p.cmd.Process.Signal(syscall.SIGSTOP) }

// Thaw undoes Freeze, and a failpoint's stop.
func (p *Process) Thaw() error { return p.cmd.Process.Signal(syscall.SIGCONT) }

// Frozen waits until the process is stopped, as by a failpoint.
func (p *Process) Frozen(ctx context.Context) error {
	return servers.Until(ctx, func(context.Context) error {
		if !servers.Stopped(p.cmd.Process.Pid) {
			return errors.New("shopd is not stopped")
		}
		return nil
	})
}

// tail keeps the end of what is written to it.
type tail struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

const tailBytes = 64 << 10

// Write implements io.Writer.
func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf.Write(b)
	if extra := t.buf.Len() - 2*tailBytes; extra > 0 {
		t.buf.Next(extra + tailBytes)
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := t.buf.Bytes()
	return string(text[max(0, len(text)-tailBytes):])
}
