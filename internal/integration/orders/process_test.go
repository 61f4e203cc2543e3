package orders_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ackbox/ackbox/internal/testenv/program"
)

// start runs the binary with a role and environment, until the test ends.
func start(tb testing.TB, role string, env ...string) *program.Process {
	tb.Helper()
	return program.Start(tb, role, binary, []string{"-role", role}, env)
}

// address returns where a web process listens.
func address(p *program.Process) string { return p.Address("orders: listening") }

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
