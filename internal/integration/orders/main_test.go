package orders_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"
)

// binary is examples/orders, built once.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "orders")
	if err != nil {
		panic(err)
	}
	binary = filepath.Join(dir, "orders")
	build := exec.Command("go", "build", "-o", binary, "./orders")
	build.Dir = filepath.Join("..", "..", "..", "examples")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		panic("build examples/orders: " + err.Error())
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(dir)
		os.Exit(code)
	}))
}
