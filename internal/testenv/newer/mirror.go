//go:build linux

package newer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// findMirror asks apt where it gets this machine's own Debian from. The next
// release is on the same mirror.
func findMirror(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	system, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return "", err
	}
	// apt's own reading of its files, whatever their format.
	targets, err := exec.CommandContext(ctx, "apt-get", "indextargets",
		"--format", "$(REPO_URI) $(CODENAME) $(COMPONENT)", "Created-By: Packages").Output()
	if err != nil {
		return "", fmt.Errorf("ask apt for its mirror: %w", err)
	}
	return mirrorIn(string(system), string(targets))
}

// mirrorIn picks the mirror of the machine's own release from apt's list.
func mirrorIn(system, targets string) (string, error) {
	value := func(key string) string {
		for line := range strings.Lines(system) {
			if v, ok := strings.CutPrefix(strings.TrimSpace(line), key+"="); ok {
				return strings.Trim(v, `"`)
			}
		}
		return ""
	}
	if id := value("ID"); id != "debian" {
		return "", fmt.Errorf("the next release is made of Debian's packages, and this is %q: run this on Debian, or in a container of it", id)
	}
	for line := range strings.Lines(targets) {
		f := strings.Fields(line)
		if len(f) == 3 && f[1] == value("VERSION_CODENAME") && f[2] == "main" {
			return f[0], nil
		}
	}
	return "", errors.New("apt knows no mirror of this machine's own release: add one to /etc/apt/sources.list")
}
