//go:build unix

package faults_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// docs/reliability.md names tests that exist, and every test of this package.
func TestReliabilityMdNamesWhatIsTested(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..", "..")
	text, err := os.ReadFile(filepath.Join(root, "docs", "reliability.md"))
	if err != nil {
		t.Fatal(err)
	}
	here, everywhere := tests(t, "."), tests(t, root)
	named := make(map[string]bool)
	for _, name := range regexp.MustCompile(`\bTest[A-Z]\w+`).FindAllString(string(text), -1) {
		named[name] = true
		if !everywhere[name] {
			t.Errorf("docs/reliability.md names %s, which is no test", name)
		}
	}
	for name := range here {
		if !named[name] && name != t.Name() && name != "TestArchitectureMdNamesTests" && name != "TestMain" {
			t.Errorf("docs/reliability.md does not name %s", name)
		}
	}
}

// docs/architecture.md says what proves each invariant by tests that exist.
func TestArchitectureMdNamesTests(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..", "..")
	text, err := os.ReadFile(filepath.Join(root, "docs", "architecture.md"))
	if err != nil {
		t.Fatal(err)
	}
	everywhere := tests(t, root)
	for _, name := range regexp.MustCompile(`\bTest[A-Z]\w+`).FindAllString(string(text), -1) {
		if !everywhere[name] {
			t.Errorf("docs/architecture.md names %s, which is no test", name)
		}
	}
}

// tests are the names of all test functions below dir.
func tests(t *testing.T, dir string) map[string]bool {
	t.Helper()
	names := make(map[string]bool)
	function := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		// Servers make and remove files below .services meanwhile.
		if err == nil && entry.IsDir() && len(entry.Name()) > 2 && strings.HasPrefix(entry.Name(), ".") {
			return fs.SkipDir
		}
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, match := range function.FindAllStringSubmatch(string(source), -1) {
			names[match[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
