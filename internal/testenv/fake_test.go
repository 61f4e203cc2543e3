package testenv_test

import (
	"fmt"
	"testing"
)

// failing is a testing.TB whose Fatalf is recorded instead of failing the real
// test. Like the real one it does not return.
type failing struct {
	testing.TB

	message  string
	returned bool
}

func (f *failing) Fatalf(format string, args ...any) {
	f.message = fmt.Sprintf(format, args...)
	panic(f.message)
}

func (f *failing) Skip(...any)          { panic("a helper skipped a test") }
func (f *failing) Skipf(string, ...any) { panic("a helper skipped a test") }
func (f *failing) SkipNow()             { panic("a helper skipped a test") }
