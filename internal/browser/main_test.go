package browser_test

import (
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/ackbox/ackbox/internal/browser"
	"github.com/ackbox/ackbox/internal/testenv/program"
)

var (
	// chromium is the browser of all tests: a tab of its own for each.
	chromium *browser.Browser
	// orders is examples/orders, built once.
	orders string
)

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "browser")
	if err != nil {
		panic(err)
	}
	orders = filepath.Join(dir, "orders")
	if err := program.Build(filepath.Join("..", "..", "examples"), "./orders", orders, os.Stderr); err != nil {
		panic(err)
	}
	if chromium, err = browser.Start(); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(stopping{m}, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(dir)
		os.Exit(code)
	}))
}

// stopping stops the browser before it is asked what is left running.
type stopping struct{ m *testing.M }

func (s stopping) Run() int {
	code := s.m.Run()
	if err := chromium.Stop(); err != nil {
		panic(err)
	}
	return code
}
