//go:build unix

package services

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/ackbox/ackbox/internal/testenv"
	"github.com/ackbox/ackbox/internal/testenv/filelock"
	"github.com/ackbox/ackbox/internal/testenv/servers"
)

// Manager starts and stops the servers of one repository.
type Manager struct {
	// Root is the git-ignored folder of everything that is started.
	Root string
	// Out is told what is found and done, a line each.
	Out io.Writer
}

// Up starts what is missing and leaves it running. What an earlier Up left
// running is used again.
func (m Manager) Up(ctx context.Context) (URLs, error) {
	unlock, err := filelock.Take(ctx, m.Root)
	if err != nil {
		return URLs{}, err
	}
	defer unlock()
	if s, err := load(m.Root); err == nil && s.usable(ctx) == nil {
		m.prepare(ctx)
		m.say("already running: state in %s", stateFile(m.Root))
		return s.urls(), nil
	}
	// What is left of an earlier one would only be in the way.
	if err := m.stop(ctx, m.Root); err != nil {
		return URLs{}, err
	}
	s, err := m.start(ctx, m.Root, servers.Process{})
	return s.urls(), err
}

// Down stops what Up started, and what a run that was killed left behind.
func (m Manager) Down(ctx context.Context) error {
	unlock, err := filelock.Take(ctx, m.Root)
	if err != nil {
		return err
	}
	defer unlock()
	return errors.Join(m.stop(ctx, m.Root), m.sweep(ctx))
}

// Current returns the URLs of what Up left running.
func (m Manager) Current(ctx context.Context) (URLs, error) {
	s, err := load(m.Root)
	if err != nil || s.usable(ctx) != nil {
		return URLs{}, errors.New("no services are running: run `make services-up`")
	}
	return s.urls(), nil
}

// Run calls do with the URLs of servers: those that Up left running, or private
// ones that are stopped when do returns. Runs at the same time do not meet.
func (m Manager) Run(ctx context.Context, do func(context.Context, URLs) error) (err error) {
	// The lock is held while servers start, not while do runs.
	s, dir, err := m.begin(ctx)
	if dir != "" {
		defer func() {
			// Stopping must also happen when ctx is what ended do.
			err = errors.Join(err, m.stop(context.WithoutCancel(ctx), dir))
		}()
	}
	if err != nil {
		return err
	}
	return do(ctx, s.urls())
}

// begin returns the servers for a Run, and the folder of those started for it.
func (m Manager) begin(ctx context.Context) (s state, dir string, err error) {
	unlock, err := filelock.Take(ctx, m.Root)
	if err != nil {
		return state{}, "", err
	}
	defer unlock()
	if s, err := load(m.Root); err == nil && s.usable(ctx) == nil {
		m.prepare(ctx)
		m.say("using the services that are up; `make services-down` stops them")
		return s, "", nil
	}
	if err := m.sweep(ctx); err != nil {
		m.say("cleaning up after a killed run: %v", err)
	}
	dir = filepath.Join(m.Root, fmt.Sprintf("run-%d", os.Getpid()))
	s, err = m.start(ctx, dir, servers.Self())
	return s, dir, err
}

// start finds and starts both servers, at once, and records them in dir.
func (m Manager) start(ctx context.Context, dir string, owner servers.Process) (state, error) {
	// Open to all: PostgreSQL's own account has to pass.
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return state{}, fmt.Errorf("services: %w", err)
	}
	r := newState(dir, owner)
	// Recorded before anything runs: a run's folder without an owner is garbage.
	if err := r.update(func(*state) {}); err != nil {
		return state{}, err
	}
	src, err := m.locate(ctx, thisMachine(os.Getenv))
	if err != nil {
		return state{}, errors.Join(err, m.forget(dir))
	}
	errs := make([]error, 2)
	var wg sync.WaitGroup
	wg.Go(func() { errs[0] = m.startPostgres(ctx, r, src.postgres, src.env) })
	wg.Go(func() { errs[1] = m.startRabbitMQ(ctx, r, src.rabbitmq, src.env) })
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return state{}, errors.Join(err, m.stop(context.WithoutCancel(ctx), dir))
	}
	if bin, err := servers.FindPgBouncer(); err == nil {
		m.say("PgBouncer%s: %s, for the tests that start one", version(servers.PgBouncerVersion(ctx, bin)), bin)
	}
	return r.current(), nil
}

func (m Manager) say(format string, args ...any) {
	// A message that cannot be shown is no reason to stop anything.
	_, _ = fmt.Fprintf(m.Out, "services: "+format+"\n", args...)
}

// URLs is how tests find the servers.
type URLs struct{ Database, AMQP, API string }

// Environ returns the variables that package testenv reads, as NAME=value.
func (u URLs) Environ() []string {
	return []string{
		testenv.DatabaseVar + "=" + u.Database,
		testenv.AMQPVar + "=" + u.AMQP,
		testenv.APIVar + "=" + u.API,
	}
}
