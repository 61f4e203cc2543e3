//go:build unix

package servers

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// ErrNotInstalled says that a server's programs were not found.
var ErrNotInstalled = errors.New("not installed")

// search is where a server's programs may be: folders as glob patterns, the
// best first, and the files that a folder must hold to be the right one.
type search struct {
	globs []string
	needs []string
}

var postgresSearch = search{
	globs: []string{
		"/usr/lib/postgresql/*/bin", // Debian, Ubuntu
		"/usr/pgsql-*/bin",          // Red Hat
		"/opt/homebrew/opt/postgresql*/bin",
		"/usr/local/opt/postgresql*/bin",
		"/usr/local/pgsql/bin",
	},
	needs: []string{"initdb", "postgres", "pg_basebackup"},
}

// Debian's rabbitmq-server on PATH is a wrapper that drops HOME and changes the
// user. The genuine scripts are known by rabbitmq-env, which lies beside them.
var rabbitSearch = search{
	globs: []string{
		"/usr/lib/rabbitmq/bin", // Debian, Ubuntu, Red Hat
		"/usr/lib/rabbitmq/lib/*/sbin",
		"/opt/homebrew/opt/rabbitmq*/sbin",
		"/usr/local/opt/rabbitmq*/sbin",
		"/usr/local/lib/rabbitmq/lib/*/sbin",
		"/opt/rabbitmq*/sbin",
	},
	needs: []string{"rabbitmq-server", "rabbitmqctl", "rabbitmq-env"},
}

var bouncerSearch = search{
	globs: []string{
		"/usr/sbin", // Debian, Ubuntu
		"/usr/bin",  // Red Hat
		"/opt/homebrew/opt/pgbouncer/bin",
		"/usr/local/opt/pgbouncer/bin",
		"/usr/local/bin",
	},
	needs: []string{"pgbouncer"},
}

// epmd, the port mapper of Erlang's nodes, is on PATH or inside Erlang itself.
var epmdSearch = search{
	globs: []string{
		"/usr/lib/erlang/bin",
		"/usr/lib/erlang/erts-*/bin",
		"/usr/lib64/erlang/erts-*/bin",
		"/opt/homebrew/opt/erlang*/lib/erlang/erts-*/bin",
		"/usr/local/opt/erlang*/lib/erlang/erts-*/bin",
		"/usr/local/lib/erlang/erts-*/bin",
	},
	needs: []string{"epmd"},
}

// FindPostgres returns the folder of PostgreSQL's server programs, or
// ErrNotInstalled with what to do about it.
func FindPostgres() (string, error) { return postgresSearch.findOr("postgresql") }

// FindRabbitMQ returns the folder of RabbitMQ's own scripts, or ErrNotInstalled
// with what to do about it.
func FindRabbitMQ() (string, error) { return rabbitSearch.findOr("rabbitmq-server") }

// FindPgBouncer returns the folder of pgbouncer, or ErrNotInstalled with what to
// do about it.
func FindPgBouncer() (string, error) { return bouncerSearch.findOr("pgbouncer") }

// findOr finds on PATH or elsewhere, or says which package of Debian's to
// install.
func (s search) findOr(pkg string) (string, error) {
	dir, err := s.find(os.Getenv("PATH"))
	if errors.Is(err, ErrNotInstalled) {
		return "", fmt.Errorf("%w on this machine: install its server programs (Debian: apt-get install %s; as root, `make test` does it)", err, pkg)
	}
	return dir, err
}

func (s search) find(path string) (string, error) {
	for _, dir := range filepath.SplitList(path) {
		if target, err := filepath.EvalSymlinks(dir); err == nil && s.matches(target) {
			return target, nil
		}
	}
	for _, glob := range s.globs {
		dirs, err := filepath.Glob(glob)
		if err != nil {
			return "", err
		}
		slices.SortFunc(dirs, func(a, b string) int { return compareVersions(b, a) })
		for _, dir := range dirs {
			if s.matches(dir) {
				return dir, nil
			}
		}
	}
	return "", ErrNotInstalled
}

func (s search) matches(dir string) bool {
	for _, name := range s.needs {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.IsDir() {
			return false
		}
	}
	return true
}

// compareVersions orders paths as text, but numbers in them by their value: 9
// comes before 15.
func compareVersions(a, b string) int {
	as, bs := splitNumbers(a), splitNumbers(b)
	return slices.CompareFunc(as, bs, func(x, y string) int {
		nx, errX := strconv.Atoi(x)
		ny, errY := strconv.Atoi(y)
		if errX == nil && errY == nil {
			return cmp.Compare(nx, ny)
		}
		return cmp.Compare(x, y)
	})
}

// splitNumbers cuts "pg-15/bin" into "pg-", "15", "/bin".
func splitNumbers(s string) []string {
	var parts []string
	for s != "" {
		digits := unicode.IsDigit(rune(s[0]))
		end := strings.IndexFunc(s, func(r rune) bool { return unicode.IsDigit(r) != digits })
		if end < 0 {
			end = len(s)
		}
		parts, s = append(parts, s[:end]), s[end:]
	}
	return parts
}
