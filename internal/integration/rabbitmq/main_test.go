// Package rabbitmq_test runs package rabbitmq against a real server: every
// outcome, every way of losing a connection, and that nothing is left behind.
package rabbitmq_test

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
