package worker

import (
	"errors"
	"fmt"
	"strings"

	"github.com/ackbox/ackbox/handler"
)

// failure is what is told of an error of the application: its text once and for all,
// so that none of its methods is called again by us.
type failure struct {
	text  string
	stack string // of a panic; for the log alone
	err   error  // for hooks alone, whose panics are caught
}

func failureOf(err error) failure {
	f := failure{text: describe(err), err: err}
	var p *handler.PanicError
	if errors.As(err, &p) {
		f.stack = string(p.Stack)
	}
	return f
}

// and is f with another line.
func (f failure) and(line string) failure {
	if line != "" {
		f.text += "\n" + line
	}
	return f
}

// oneLine is f's text without line breaks.
func (f failure) oneLine() string { return strings.ReplaceAll(f.text, "\n", "; ") }

// describe is an error's text. It survives errors whose own methods panic.
func describe(err error) string { return fmt.Sprintf("%v", err) }
