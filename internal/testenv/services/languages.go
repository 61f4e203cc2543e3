//go:build unix

package services

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/ackbox/ackbox/internal/testenv/servers"
)

// findNode returns the folder of Node.js.
func findNode() (string, error) {
	path, err := exec.LookPath("node")
	if err != nil {
		return "", servers.ErrNotInstalled
	}
	return filepath.Dir(path), nil
}

// findPika returns the folder of the Python that the tests run: the system's own, which
// sees Debian's packages.
func findPika() (string, error) { return findPikaOf(python) }

const python = "/usr/bin/python3"

func findPikaOf(python string) (string, error) {
	if _, err := os.Stat(python); err != nil {
		return "", servers.ErrNotInstalled
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if exec.CommandContext(ctx, python, "-c", "import pika").Run() != nil {
		return "", servers.ErrNotInstalled
	}
	return filepath.Dir(python), nil
}
