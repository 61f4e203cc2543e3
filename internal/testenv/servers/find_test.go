//go:build unix

package servers

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// programs makes empty files below a new folder and returns the folder.
func programs(t *testing.T, files ...string) string {
	t.Helper()
	root := t.TempDir()
	for _, f := range files {
		f = filepath.Join(root, f)
		if err := os.MkdirAll(filepath.Dir(f), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(f, nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestFind(t *testing.T) {
	t.Parallel()
	root := programs(
		t,
		"pg/9/initdb", "pg/9/postgres",
		"pg/15/initdb", "pg/15/postgres",
		"pg/16/initdb", // a client, no server
		"own/initdb", "own/postgres",
		"wrapper/postgres",
	)
	in := func(dir string) string { return filepath.Join(root, dir) }
	s := search{globs: []string{in("nowhere/*"), in("pg/*")}, needs: []string{"initdb", "postgres"}}
	for name, tc := range map[string]struct{ path, want string }{
		"the newest complete one":      {"", in("pg/15")},
		"PATH first":                   {in("wrapper") + ":" + in("own"), in("own")},
		"not a wrapper that is on it":  {in("wrapper"), in("pg/15")},
		"an empty element is harmless": {":", in("pg/15")},
	} {
		got, err := s.find(tc.path)
		if err != nil || got != tc.want {
			t.Errorf("%s: %q, %v, want %q", name, got, err, tc.want)
		}
	}
	s.globs = nil
	if _, err := s.find(in("wrapper")); !errors.Is(err, ErrNotInstalled) {
		t.Errorf("with nothing to find: %v, want ErrNotInstalled", err)
	}
}

func TestCompareVersions(t *testing.T) {
	t.Parallel()
	want := []string{"/pg/9.6/bin", "/pg/9.10/bin", "/pg/15/bin", "/pg/16/bin"}
	got := []string{"/pg/16/bin", "/pg/9.10/bin", "/pg/15/bin", "/pg/9.6/bin"}
	slices.SortFunc(got, compareVersions)
	if !slices.Equal(got, want) {
		t.Errorf("sorted: %v, want %v", got, want)
	}
}

func TestReaches(t *testing.T) {
	t.Parallel()
	stranger := &Account{Name: "stranger", UID: 4_000_000, GID: 4_000_000}
	open := programs(t, "a/b")
	if err := os.Chmod(filepath.Dir(open), 0o755); err != nil { // the test's own folder
		t.Fatal(err)
	}
	if ok, err := stranger.Reaches(filepath.Join(open, "a", "not made yet")); err != nil || !ok {
		t.Errorf("an open folder: %v, %v", ok, err)
	}
	if err := os.Chmod(filepath.Join(open, "a"), 0o700); err != nil {
		t.Fatal(err)
	}
	if ok, err := stranger.Reaches(filepath.Join(open, "a", "b")); err != nil || ok {
		t.Errorf("below a closed folder: %v, %v", ok, err)
	}
	if ok, err := (*Account)(nil).Reaches("/"); err != nil || !ok {
		t.Errorf("ourselves: %v, %v", ok, err)
	}
}

func TestFreePortsAreDifferent(t *testing.T) {
	t.Parallel()
	ports, err := FreePorts(20)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(ports)
	if len(slices.Compact(ports)) != 20 {
		t.Errorf("ports = %v", ports)
	}
}

func TestFailedStartShowsTheServersWords(t *testing.T) {
	t.Parallel()
	n, err := NewPostgres(PostgresOptions{Config: []string{"no_such_setting=1"}})
	if errors.Is(err, ErrNotInstalled) {
		t.Fatal("this test starts a node of its own: install PostgreSQL's server programs")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Remove(); err != nil {
			t.Error(err)
		}
	})
	err = n.Start(context.WithoutCancel(t.Context()))
	if err == nil {
		t.Fatal("it started")
	}
	if n.Process.Alive() {
		t.Error("a failed start left a process behind")
	}
	if want := "no_such_setting"; !contains(err, want) {
		t.Errorf("the error does not show the log: %v", err)
	}
}
