package testenv_test

import (
	"flag"
	"testing"

	"github.com/ackbox/ackbox/internal/testenv"
)

// Not parallel: the flag is everybody's.
func TestAtOnce(t *testing.T) {
	const name = "test.parallel"
	before := flag.Lookup(name).Value.String()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == name })
	testenv.AtOnce(7)
	want := "7"
	if given {
		want = before // somebody has asked for that
	}
	if got := flag.Lookup(name).Value.String(); got != want {
		t.Errorf("%s tests run at once, want %s", got, want)
	}
	testenv.AtOnce(9) // 7 was set by now
	if got := flag.Lookup(name).Value.String(); got != want {
		t.Errorf("%s tests run at once, want %s: what is set stays", got, want)
	}
}
