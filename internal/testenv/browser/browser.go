//go:build unix

// Package browser finds the Chromium that looks at pages in tests.
package browser

import (
	"fmt"
	"os"
	"os/exec"

	"github.com/ackbox/ackbox/internal/testenv/servers"
)

const (
	// Var names the browser's program in the environment; without it the usual
	// names are looked for on PATH.
	Var = "ACKBOX_TEST_BROWSER"
	// None as the value of Var says that no test here looks at pages: nothing is
	// installed for it.
	None = "none"
)

// names are those under which systems have it, Debian's first.
var names = []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"}

// Find returns the path of the browser, or servers.ErrNotInstalled with what to
// do about it.
func Find() (string, error) {
	if path := os.Getenv(Var); path != "" {
		if found, err := exec.LookPath(path); err == nil {
			return found, nil
		}
		return "", fmt.Errorf("%s: %s: %w", Var, path, servers.ErrNotInstalled)
	}
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%w: a browser: install Chromium (Debian: apt-get install chromium; as root, `make test` does it), or set %s to its program", servers.ErrNotInstalled, Var)
}
