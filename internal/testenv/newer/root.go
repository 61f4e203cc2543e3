//go:build linux

package newer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/ackbox/ackbox/internal/testenv/apt"
)

// release is Debian's, and packages what is installed in it: the servers, the languages
// of clients, and iproute2 to bring loopback up.
const release = "trixie"

var packages = []string{"postgresql", "rabbitmq-server", "pgbouncer", "ca-certificates", "iproute2", "procps", "nodejs", "python3-pika"}

// installing bounds what takes a minute or two where the mirror is near.
const installing = 20 * time.Minute

// Root is a root folder and the checkout that is tested in it.
type Root struct {
	// Dir is the git-ignored folder of all this; the root folder is Dir/root.
	Dir string
	// Checkout is the repository's folder.
	Checkout string
	// Out is told what is done, a line each.
	Out io.Writer
}

func (r Root) root() string { return filepath.Join(r.Dir, "root") }

// recipe tells whether a root folder is one that this code would make.
func (r Root) recipe() string { return release + " " + strings.Join(packages, " ") + "\n" }

func (r Root) recipeFile(root string) string { return filepath.Join(root, "etc", "ackbox-newer") }

// prepare makes the root folder, unless there is one. It is made under another
// name first: half a one must not be taken for a whole one.
func (r Root) prepare(ctx context.Context) error {
	if raw, err := os.ReadFile(r.recipeFile(r.root())); err == nil && string(raw) == r.recipe() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, installing)
	defer cancel()
	began, fresh := time.Now(), r.root()+".new"
	if err := errors.Join(r.remove(r.root()), r.remove(fresh)); err != nil {
		return err
	}
	mirror, err := findMirror(ctx)
	if err != nil {
		return err
	}
	if err := r.findDebootstrap(ctx); err != nil {
		return err
	}
	r.say("making a root folder of Debian %s in %s (once; output in %s)", release, r.root(), r.log())
	if err := r.fill(ctx, fresh, mirror); err != nil {
		return err
	}
	if err := os.Rename(fresh, r.root()); err != nil {
		return err
	}
	r.say("made in %.0f s", time.Since(began).Seconds())
	return nil
}

// fill makes a root folder at dir. The services of what is installed are not
// started: a policy says so before they come.
func (r Root) fill(ctx context.Context, dir, mirror string) error {
	if err := r.install(ctx, "debootstrap", "--variant=minbase", release, dir, mirror); err != nil {
		return err
	}
	for name, text := range map[string]string{
		"usr/sbin/policy-rc.d": "#!/bin/sh\nexit 101\n",
		"etc/hosts":            "127.0.0.1 localhost\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			return err
		}
	}
	get := []string{dir, "apt-get", "-q", "-y", "--no-install-recommends"}
	if err := r.install(ctx, "chroot", append(get, "update")...); err != nil {
		return err
	}
	if err := r.install(ctx, "chroot", append(append(get, "install"), packages...)...); err != nil {
		return err
	}
	return os.WriteFile(r.recipeFile(dir), []byte(r.recipe()), 0o600)
}

func (r Root) log() string { return filepath.Join(r.Dir, "install.log") }

// install runs a command that installs something, in namespaces of its own: what
// it mounts is gone afterwards, and so is what it has started.
func (r Root) install(ctx context.Context, name string, args ...string) (err error) {
	log, err := os.OpenFile(r.log(), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	cmd := exec.CommandContext(ctx, "unshare", append([]string{"--mount", "--pid", "--fork", "--kill-child", "--mount-proc", name}, args...)...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C")
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = log, log, 10*time.Second
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w; its output is in %s", name, err, log.Name())
	}
	return nil
}

// findDebootstrap installs debootstrap if it is missing.
func (r Root) findDebootstrap(ctx context.Context) error {
	if _, err := exec.LookPath("debootstrap"); err == nil {
		return nil
	}
	if !apt.Usable() {
		return errors.New("debootstrap is missing, and there is no apt-get to install it with")
	}
	r.say("installing debootstrap")
	return apt.Install(ctx, filepath.Join(r.Dir, "apt.log"), "debootstrap")
}

// remove deletes a root folder in which nothing is mounted: what is bound into one
// would go with it.
func (r Root) remove(dir string) error {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	if at := mountedIn(dir, string(mounts)); at != "" {
		return fmt.Errorf("%s is mounted: unmount it before %s is made anew", at, dir)
	}
	return os.RemoveAll(dir)
}

// mountedIn returns where something is mounted at dir or below, according to a
// mountinfo, or "".
func mountedIn(dir, mountinfo string) string {
	for line := range strings.Lines(mountinfo) {
		if fields := strings.Fields(line); len(fields) > 4 && strings.HasPrefix(fields[4]+"/", dir+"/") {
			return fields[4]
		}
	}
	return ""
}

func (r Root) say(format string, args ...any) {
	// A message that cannot be shown is no reason to stop anything.
	_, _ = fmt.Fprintf(r.Out, "newer: "+format+"\n", args...)
}
