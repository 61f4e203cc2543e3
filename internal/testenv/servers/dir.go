//go:build unix

package servers

import (
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
)

// makeDir makes a node's folder and gives it to the account that the node runs
// as. An empty dir means a new one among the temporary files.
func makeDir(dir, name string, owner *Account) (string, error) {
	var err error
	if dir == "" {
		dir, err = os.MkdirTemp("", "ackbox-"+name+"-")
	} else if dir, err = filepath.Abs(dir); err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err != nil {
		return "", fmt.Errorf("%s: make its folder: %w", name, err)
	}
	ok, err := owner.Reaches(filepath.Dir(dir))
	if err != nil {
		return "", fmt.Errorf("%s: look at its folder: %w", name, err)
	}
	if !ok {
		return "", fmt.Errorf("%s: the account %s, which it has to run as, cannot reach %s: leave Dir empty, or choose a folder it can reach", name, owner.Name, dir)
	}
	if err := owner.own(dir); err != nil {
		return "", fmt.Errorf("%s: give it its folder: %w", name, err)
	}
	return dir, nil
}

// secret returns a password for a node that nobody else shall use.
func secret() string { return rand.Text() }
