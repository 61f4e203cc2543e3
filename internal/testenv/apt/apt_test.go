//go:build unix

package apt

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFailedInstallShowsTheEndOfTheOutput(t *testing.T) {
	dir := t.TempDir()
	script := "#!/bin/sh\nfor i in $(seq 100); do echo line $i; done\necho E: no such package >&2\nexit 100\n"
	if err := os.WriteFile(filepath.Join(dir, "apt-get"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	if os.Geteuid() != 0 {
		if Usable() {
			t.Error("apt-get counts as usable for somebody who is not root")
		}
		return
	}
	err := Install(t.Context(), filepath.Join(dir, "log"), "nothing")
	if err == nil {
		t.Fatal("a failed installation was believed")
	}
	says := fmt.Sprint(err)
	if !strings.Contains(says, "E: no such package") || strings.Contains(says, "line 7\n") {
		t.Errorf("the error shows another part of the output: %s", says)
	}
}
