//go:build unix

package servers

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"github.com/ackbox/ackbox/internal/testenv/management"
)

// asking bounds a question for a version.
const asking = 10 * time.Second

// Version is a server's, such as 15.12 or 3.10.8.
type Version struct {
	Major, Minor int
	text         string
}

// String is the version as the server writes it.
func (v Version) String() string { return v.text }

// AtLeast reports whether v is major.minor or newer.
func (v Version) AtLeast(major, minor int) bool {
	return v.Major > major || v.Major == major && v.Minor >= minor
}

var versionPattern = regexp.MustCompile(`\b(\d+)\.(\d+)(\.\d+)*`)

// parseVersion finds the first version in what a server says of itself.
func parseVersion(text string) (Version, error) {
	found := versionPattern.FindStringSubmatch(text)
	if found == nil {
		return Version{}, fmt.Errorf("there is no version in %q", text)
	}
	major, errMajor := strconv.Atoi(found[1])
	minor, errMinor := strconv.Atoi(found[2])
	return Version{Major: major, Minor: minor, text: found[0]}, errors.Join(errMajor, errMinor)
}

// PostgresVersion asks a PostgreSQL server for its version.
func PostgresVersion(ctx context.Context, dsn string) (Version, error) {
	ctx, cancel := context.WithTimeout(ctx, asking)
	defer cancel()
	text, err := ask[string](ctx, dsn, "SHOW server_version")
	if err != nil {
		return Version{}, err
	}
	return parseVersion(text)
}

// RabbitMQVersion asks a RabbitMQ server for its version, by its management API.
func RabbitMQVersion(ctx context.Context, api string) (Version, error) {
	ctx, cancel := context.WithTimeout(ctx, asking)
	defer cancel()
	client, err := management.New(api)
	if err != nil {
		return Version{}, err
	}
	text, err := client.Version(ctx)
	if err != nil {
		return Version{}, fmt.Errorf("ask RabbitMQ for its version: %w", err)
	}
	return parseVersion(text)
}

// PgBouncerVersion asks the pgbouncer in folder bin for its version.
func PgBouncerVersion(ctx context.Context, bin string) (Version, error) {
	ctx, cancel := context.WithTimeout(ctx, asking)
	defer cancel()
	out, err := exec.CommandContext(ctx, filepath.Join(bin, "pgbouncer"), "--version").Output()
	if err != nil {
		return Version{}, fmt.Errorf("ask PgBouncer for its version: %w", err)
	}
	return parseVersion(string(out))
}
