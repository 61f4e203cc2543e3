//go:build unix

// Package accounting_test asks, on real servers, what a job is charged for, where it
// runs, and whether what ran is recorded: each test is a week in which jobs died
// without ever having run, ran twice at once, or were forgotten when they were done.
//
// What ran when is counted by the handlers themselves, in memory ([calls]).
package accounting_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/ackbox/ackbox/internal/testenv"
)

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVar); role != "" {
		os.Exit(play(role))
	}
	testenv.AtOnce(4)
	goleak.VerifyTestMain(m)
}
