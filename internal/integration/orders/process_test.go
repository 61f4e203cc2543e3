package orders_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// process is a running examples/orders.
type process struct {
	tb   testing.TB
	role string
	cmd  *exec.Cmd
	log  *logBuffer
	done chan error
}

// start runs the binary with a role and environment, until the test ends.
func start(tb testing.TB, role string, env ...string) *process {
	tb.Helper()
	p := &process{tb: tb, role: role, log: &logBuffer{}, done: make(chan error, 1)}
	p.cmd = exec.Command(binary, "-role", role)
	p.cmd.Env = append(p.cmd.Environ(), env...)
	p.cmd.Stderr = p.log
	if err := p.cmd.Start(); err != nil {
		tb.Fatalf("start %s: %v", role, err)
	}
	go func() { p.done <- p.cmd.Wait() }() // ends with the process, which Cleanup ends
	tb.Cleanup(func() {
		p.kill()
		if tb.Failed() {
			tb.Logf("log of %s:\n%s", role, p.log.tail(40))
		}
	})
	return p
}

// kill ends the process with SIGKILL and waits for its end.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended by itself
	err := <-p.done
	p.done <- err
}

// terminate asks the process to stop and fails the test if it does not, with
// status 0, within a minute.
func (p *process) terminate() {
	p.tb.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.tb.Fatalf("terminate %s: %v", p.role, err)
	}
	select {
	case err := <-p.done:
		p.done <- err
		if err != nil {
			p.tb.Errorf("%s ended with %v", p.role, err)
		}
	case <-time.After(time.Minute):
		p.tb.Fatalf("%s does not stop on SIGTERM", p.role)
	}
}

// address returns where a web process listens.
func (p *process) address() string {
	p.tb.Helper()
	var addr string
	eventually(p.tb, 20*time.Second, "the web process listens", func() error {
		for line := range strings.Lines(p.log.String()) {
			if _, rest, ok := strings.Cut(line, "msg=\"orders: listening\""); ok {
				_, value, _ := strings.Cut(rest, "addr=")
				addr = strings.TrimSpace(value)
				return nil
			}
		}
		return fmt.Errorf("no such line yet")
	})
	return "http://" + addr
}

// logBuffer collects what a process writes.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func (b *logBuffer) tail(n int) string {
	var lines []string
	scanner := bufio.NewScanner(strings.NewReader(b.String()))
	for scanner.Scan() {
		lines = append(lines, scanner.Text())
	}
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// eventually asks until there is no error, or fails the test after limit.
func eventually(tb testing.TB, limit time.Duration, what string, ask func() error) {
	tb.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(limit)
	for {
		err := ask()
		if err == nil {
			return
		}
		select {
		case <-deadline:
			tb.Fatalf("after %v not yet: %s: %v", limit, what, err)
		case <-tick.C:
		}
	}
}

var client = &http.Client{Timeout: 15 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// request sends one request and returns the answer's status and body.
func request(ctx context.Context, method, url, body string) (int, string, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text), err
}
