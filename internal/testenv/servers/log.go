//go:build unix

package servers

import (
	"fmt"
	"os"
	"strings"
)

// tailLines is how much of a log an error shows.
const tailLines = 40

// withLog adds the end of a node's log to the error of a failed start: the
// reason is there and nowhere else.
func withLog(err error, file string) error {
	raw, readErr := os.ReadFile(file)
	if readErr != nil {
		return fmt.Errorf("%w (and its log cannot be read: %w)", err, readErr)
	}
	lines := strings.Split(strings.TrimRight(string(raw), "\n"), "\n")
	return fmt.Errorf("%w\n--- the last lines of %s\n%s\n---",
		err, file, strings.Join(lines[max(0, len(lines)-tailLines):], "\n"))
}
