//go:build unix

package main

import (
	"path/filepath"
	"testing"
)

// Every mutant still finds the one place that it changes; `make mutants`, which
// is no part of every test run, says whether it is noticed.
func TestMutantsFitTheCode(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs(filepath.Join("..", "..", "..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, m := range mutants {
		if _, err := m.overlay(root, dir); err != nil {
			t.Error(err)
		}
	}
}
