package orders_test

import (
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/ackbox/ackbox/internal/testenv/program"
)

// binary is examples/orders, built once.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "orders")
	if err != nil {
		panic(err)
	}
	binary = filepath.Join(dir, "orders")
	if err := program.Build(filepath.Join("..", "..", "..", "examples"), "./orders", binary, os.Stderr); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(dir)
		os.Exit(code)
	}))
}
