// Package security_test proves what SECURITY.md says, on real servers: TLS on
// both roads, data that never becomes a statement, secrets that reach no log
// and no error, and constructors that refuse nonsense by name.
package security_test

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
