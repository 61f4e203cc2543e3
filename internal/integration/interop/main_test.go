// Package interop_test has messages published by programs in other languages, which know
// nothing of Ackbox, and handled by worker processes that are killed.
package interop_test

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// workerVar makes this test binary a worker.
const workerVar = "INTEROP_WORKER"

func TestMain(m *testing.M) {
	if os.Getenv(workerVar) != "" {
		if err := work(); err != nil {
			fmt.Fprintln(os.Stderr, "worker:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}
