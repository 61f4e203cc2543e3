//go:build unix

package services

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
)

// stop stops what the state in dir records and deletes its data. The servers'
// logs stay in Root, as last-<server>.log.
func (m Manager) stop(ctx context.Context, dir string) error {
	s, err := load(dir)
	if errors.Is(err, os.ErrNotExist) {
		return m.forget(dir)
	}
	if err != nil {
		return err
	}
	errs := make([]error, 2)
	var wg sync.WaitGroup
	wg.Go(func() { errs[0] = m.stopInstance(ctx, s.Postgres, "PostgreSQL") })
	wg.Go(func() { errs[1] = m.stopInstance(ctx, s.RabbitMQ, "RabbitMQ") })
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		// The record stays: a later Down can try again.
		return fmt.Errorf("stop services: %w", err)
	}
	return m.forget(dir)
}

func (m Manager) stopInstance(ctx context.Context, i instance, name string) error {
	switch {
	case i.PostgresNode != nil:
		n := i.PostgresNode
		if err := n.Stop(ctx); err != nil {
			return err
		}
		m.keepLog(n.Log(), "last-postgres.log")
		m.say("%s: stopped", name)
		return n.Remove()
	case i.RabbitNode != nil:
		n := i.RabbitNode
		// Its data is deleted next: killing it first saves the seconds of an
		// orderly shutdown. Stop then ends its epmd.
		if err := errors.Join(n.Kill(ctx), n.Stop(ctx)); err != nil {
			return err
		}
		m.keepLog(n.Log(), "last-rabbitmq.log")
		m.say("%s: stopped", name)
		return n.Remove()
	case i.Container != "":
		if err := removeContainer(ctx, i.Container); err != nil {
			return err
		}
		m.say("%s: container removed", name)
	}
	return nil
}

// keepLog saves a log that a failed test run may need. The node's folder may be
// on another disk, so it is copied.
func (m Manager) keepLog(log, name string) {
	raw, err := os.ReadFile(log)
	if err == nil {
		err = os.WriteFile(filepath.Join(m.Root, name), raw, 0o600)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		m.say("keep the log: %v", err)
	}
}

// forget deletes what is left in the folder of a Run, or the record of Up.
func (m Manager) forget(dir string) error {
	if dir != m.Root {
		return os.RemoveAll(dir)
	}
	if err := os.Remove(stateFile(dir)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// sweep stops what Runs left behind that did not live to do it.
func (m Manager) sweep(ctx context.Context) error {
	dirs, err := filepath.Glob(filepath.Join(m.Root, "run-*"))
	if err != nil {
		return err
	}
	var errs []error
	for _, dir := range dirs {
		s, err := load(dir)
		switch {
		case err == nil && s.Owner.Alive():
			continue // a Run in progress
		case err == nil:
			m.say("stopping what a killed run left in %s", dir)
		case !errors.Is(err, os.ErrNotExist):
			errs = append(errs, err)
			continue
		}
		errs = append(errs, m.stop(ctx, dir))
	}
	return errors.Join(errs...)
}
