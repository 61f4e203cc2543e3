//go:build unix

package services

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/ackbox/ackbox/internal/testenv/browser"
	"github.com/ackbox/ackbox/internal/testenv/filelock"
	"github.com/ackbox/ackbox/internal/testenv/servers"
)

// program is what tests start themselves, wherever the shared servers come from: a
// server's programs, a language in which a client is written, or the browser.
type program struct {
	name, pkg string // Debian's package
	find      func() (string, error)
}

func (on machine) programs() []program {
	all := []program{
		{"PostgreSQL", "postgresql", on.findPostgres},
		{"RabbitMQ", "rabbitmq-server", on.findRabbitMQ},
		{"PgBouncer", "pgbouncer", on.findPgBouncer},
		{"Node.js", "nodejs", on.findNode},
		{"Python's pika", "python3-pika", on.findPika},
	}
	if on.getenv(browser.Var) != browser.None {
		all = append(all, program{"Chromium", "chromium", on.findBrowser})
	}
	return all
}

// Install finds the programs of PostgreSQL, RabbitMQ, PgBouncer, Node.js, Python's
// pika and Chromium on this machine, installs those that are missing if it can, and says where each is.
// It starts nothing. One that is not there in the end is an error.
func (m Manager) Install(ctx context.Context) error { return m.install(ctx, thisMachine(os.Getenv)) }

func (m Manager) install(ctx context.Context, on machine) error {
	unlock, err := filelock.Take(ctx, m.Root)
	if err != nil {
		return err
	}
	defer unlock()
	err = m.ensure(ctx, on)
	for _, p := range on.programs() {
		if dir, errFind := p.find(); errFind == nil {
			m.say("%s: %s", p.name, dir)
		}
	}
	return err
}

// prepare is ensure where servers run already, so that no test has to fail.
func (m Manager) prepare(ctx context.Context) {
	if err := m.ensure(ctx, thisMachine(os.Getenv)); err != nil {
		m.say("%v", err)
	}
}

// ensure installs the programs that are missing. The error is one line, and says
// what is missing still.
func (m Manager) ensure(ctx context.Context, on machine) error {
	missing, err := on.missing()
	if err != nil || len(missing) == 0 {
		return err
	}
	if !on.installable() {
		return incomplete(missing, errors.New("only root can install packages, with apt-get"))
	}
	packages := make([]string, len(missing))
	for i, p := range missing {
		packages[i] = p.pkg
	}
	log := filepath.Join(m.Root, "apt.log")
	m.say("installing %s (output in %s)", strings.Join(packages, " "), log)
	failed := on.install(ctx, log, packages...)
	if failed != nil && len(packages) > 1 {
		// apt installs all or none: one that this system lacks is no reason to
		// go without the others.
		failed = nil
		for _, p := range packages {
			failed = errors.Join(failed, on.install(ctx, log, p))
		}
	}
	if missing, err = on.missing(); err != nil || len(missing) == 0 {
		return err
	}
	if failed == nil {
		failed = errors.New("its package is installed, and did not bring them")
	}
	return incomplete(missing, failed)
}

func (on machine) missing() (missing []program, err error) {
	for _, p := range on.programs() {
		_, err := p.find()
		switch {
		case errors.Is(err, servers.ErrNotInstalled):
			missing = append(missing, p)
		case err != nil:
			return nil, err
		}
	}
	return missing, nil
}

// incomplete says what tests have to do without, and why.
func incomplete(missing []program, why error) error {
	names := make([]string, len(missing))
	for i, p := range missing {
		names[i] = p.name
	}
	return fmt.Errorf("the programs of %s are not on this machine, so tests that start them will fail: %w", strings.Join(names, " and "), why)
}
