//go:build unix

package browser_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ackbox/ackbox/internal/testenv/browser"
	"github.com/ackbox/ackbox/internal/testenv/servers"
)

func TestFind(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	t.Setenv(browser.Var, "")
	_, err := browser.Find()
	if !errors.Is(err, servers.ErrNotInstalled) || !strings.Contains(err.Error(), "apt-get install chromium") {
		t.Errorf("on a machine without one: %v", err)
	}
	for _, name := range []string{"google-chrome", "chromium", "mine"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if path, err := browser.Find(); err != nil || path != filepath.Join(dir, "chromium") {
		t.Errorf("found %q, %v: want Chromium, which comes first", path, err)
	}
	t.Setenv(browser.Var, filepath.Join(dir, "mine"))
	if path, err := browser.Find(); err != nil || path != filepath.Join(dir, "mine") {
		t.Errorf("found %q, %v: want the one that the environment names", path, err)
	}
	t.Setenv(browser.Var, browser.None)
	if _, err := browser.Find(); !errors.Is(err, servers.ErrNotInstalled) {
		t.Errorf("with none wanted: %v", err)
	}
}
