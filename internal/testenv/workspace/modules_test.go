package workspace_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/ackbox/ackbox/internal/testenv/workspace"
)

func TestModulesAreThoseOfTheWorkspaceWithPackages(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{
		"go.work":       "go 1.25.0\n\nuse (\n\t.\n\t./sub\n\t./empty\n)\n",
		"go.mod":        "module example.test/root\n\ngo 1.25.0\n",
		"root.go":       "package root\n",
		"sub/go.mod":    "module example.test/root/sub\n\ngo 1.25.0\n",
		"sub/x/sub.go":  "package x\n",
		"empty/go.mod":  "module example.test/root/empty\n\ngo 1.25.0\n",
		"out/go.mod":    "module example.test/root/out\n\ngo 1.25.0\n",
		"out/module.go": "package out\n",
	} {
		file := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("GOWORK", "")
	t.Chdir(root)
	got, err := workspace.Modules(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(got)
	if want := []string{"./.", "./sub"}; !slices.Equal(got, want) {
		t.Errorf("Modules() = %q, want %q", got, want)
	}
}
