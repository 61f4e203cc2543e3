//go:build linux

package newer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/ackbox/ackbox/internal/testenv/browser"
	"github.com/ackbox/ackbox/internal/testenv/filelock"
	"github.com/ackbox/ackbox/internal/testenv/workspace"
)

// inside is the word with which this program calls itself, to become the first
// process of the new namespaces.
const inside = "inside"

// plan is what that process is told, as JSON.
type plan struct {
	Root    string
	Mounts  []mount
	Dir     string // where Command runs, as seen inside
	Env     []string
	Command []string
}

// mount binds a folder of the machine to one of the root folder.
type mount struct {
	From, To string
	ReadOnly bool
}

// Run runs a command inside, in the checkout. A command that fails is an
// *exec.ExitError. One run at a time uses a root folder.
func (r Root) Run(ctx context.Context, command []string) error {
	if os.Geteuid() != 0 {
		return errors.New("only root can do this: it makes a root folder with debootstrap, and enters it")
	}
	release, err := filelock.Take(ctx, r.Dir)
	if err != nil {
		return err
	}
	defer release()
	if err := r.prepare(ctx); err != nil {
		return fmt.Errorf("make the root folder: %w", err)
	}
	p, err := r.plan(ctx, command)
	if err != nil {
		return err
	}
	raw, err := json.Marshal(p)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, self, inside, string(raw))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWIPC,
		// If we are killed it dies, and all others inside with it.
		Pdeathsig: syscall.SIGKILL,
	}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = time.Minute
	// Pdeathsig goes by the thread that has started the process.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err = cmd.Run()
	if errors.Is(err, syscall.EPERM) {
		return fmt.Errorf("make namespaces: %w: a container must be allowed to (CAP_SYS_ADMIN; docker: --privileged)", err)
	}
	return err
}

// plan gathers what the run needs: the checkout, Go, and the modules, which are
// fetched before, since inside there is no network.
func (r Root) plan(ctx context.Context, command []string) (plan, error) {
	if err := fetchModules(ctx); err != nil {
		return plan{}, err
	}
	env, err := goEnv(ctx, "GOROOT", "GOMODCACHE", "GOCACHE")
	if err != nil {
		return plan{}, err
	}
	services := filepath.Join(r.Dir, "services")
	// Below the checkout, so that it can be mounted on where that is read-only.
	hidden := filepath.Join(r.Checkout, ".services")
	for _, dir := range []string{services, hidden, env[2]} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return plan{}, err
		}
	}
	if err := emptyTmp(filepath.Join(r.root(), "tmp")); err != nil {
		return plan{}, err
	}
	return plan{
		Root: r.root(), Dir: "/src", Command: command,
		Mounts: []mount{
			{From: r.Checkout, To: "/src", ReadOnly: true},
			{From: services, To: "/src/.services"},
			{From: env[0], To: "/usr/local/go", ReadOnly: true},
			{From: env[1], To: "/go/pkg/mod", ReadOnly: true},
			{From: env[2], To: "/go/cache"},
		},
		Env: []string{
			"PATH=/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C.UTF-8",
			"GOPATH=/go", "GOMODCACHE=/go/pkg/mod", "GOCACHE=/go/cache", "GOPROXY=off", "GOTOOLCHAIN=local",
			"GOFLAGS=-buildvcs=false", "CGO_ENABLED=0",
			// Pages do not depend on the servers' release.
			browser.Var + "=" + browser.None,
		},
	}, nil
}

// emptyTmp deletes what an earlier run that was killed has left.
func emptyTmp(dir string) error {
	return errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o755), os.Chmod(dir, 0o777|os.ModeSticky))
}

func fetchModules(ctx context.Context) error {
	modules, err := workspace.Modules(ctx)
	if err != nil {
		return err
	}
	args := []string{"list", "-deps", "-test"}
	for _, dir := range modules {
		args = append(args, dir+"/...")
	}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("fetch the modules: %w\n%s", err, out)
	}
	return nil
}

func goEnv(ctx context.Context, names ...string) ([]string, error) {
	out, err := exec.CommandContext(ctx, "go", append([]string{"env"}, names...)...).Output()
	if err != nil {
		return nil, fmt.Errorf("go env: %w", err)
	}
	values := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(values) != len(names) {
		return nil, fmt.Errorf("go env gives %d values for %d names", len(values), len(names))
	}
	return values, nil
}
