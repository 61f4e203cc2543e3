package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"
)

// actors are parts of the bench in processes of their own.
type actors struct {
	loops *loops
	all   []*actor
}

type actor struct {
	role  string
	cmd   *exec.Cmd
	in    io.Closer // ends it
	out   io.Reader
	ready chan struct{}
	once  sync.Once
}

// readyTimeout bounds the start of a part.
const readyTimeout = 30 * time.Second

// hire starts a process for each role, on env's database and vhost, and waits
// until all are ready. What they tell of jobs goes to w.
func hire(ctx context.Context, env *Env, w *watch, roles ...string) (*actors, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	a := &actors{}
	var runs []func(context.Context) error
	for _, role := range roles {
		one := &actor{role: role, ready: make(chan struct{})}
		if err := one.start(ctx, program, env); err != nil {
			a.loops = start(ctx, runs...)
			return nil, a.dismiss(err)
		}
		a.all = append(a.all, one)
		runs = append(runs, func(context.Context) error { return one.attend(w) })
	}
	a.loops = start(ctx, runs...)
	timeout := time.After(readyTimeout)
	for _, one := range a.all {
		select {
		case <-one.ready:
		case <-a.loops.ctx.Done():
			return nil, a.dismiss(context.Cause(a.loops.ctx))
		case <-timeout:
			return nil, a.dismiss(fmt.Errorf("%s is not ready after %v", one.role, readyTimeout))
		}
	}
	return a, nil
}

// start starts the process. It is killed when ctx ends.
func (a *actor) start(ctx context.Context, program string, env *Env) (err error) {
	a.cmd = exec.CommandContext(ctx, program, "-role", a.role) //nolint:gosec // this very program
	a.cmd.Env = append(os.Environ(), roleDatabaseVar+"="+env.Database, roleAMQPVar+"="+env.AMQP)
	a.cmd.Stderr = os.Stderr
	a.cmd.WaitDelay = 5 * time.Second
	if a.in, err = a.cmd.StdinPipe(); err != nil {
		return fmt.Errorf("start %s: %w", a.role, err)
	}
	if a.out, err = a.cmd.StdoutPipe(); err != nil {
		return fmt.Errorf("start %s: %w", a.role, err)
	}
	if err := a.cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", a.role, err)
	}
	return nil
}

// attend reads what the process tells until it ends.
func (a *actor) attend(w *watch) error {
	errRead := readLines(a.out, w, func() { a.once.Do(func() { close(a.ready) }) })
	if err := errors.Join(errRead, a.cmd.Wait()); err != nil {
		return fmt.Errorf("%s: %w", a.role, err)
	}
	return nil
}

// dismissTimeout is how long parts may take to stop before they are killed.
const dismissTimeout = 30 * time.Second

// dismiss tells all parts to stop and waits for them.
func (a *actors) dismiss(err error) error {
	kill := time.AfterFunc(dismissTimeout, func() {
		for _, one := range a.all {
			_ = one.cmd.Process.Kill() // it may have ended just now
		}
	})
	defer kill.Stop()
	for _, one := range a.all {
		_ = one.in.Close() // likewise
	}
	return a.loops.end(err)
}

// cpu is the CPU time of all parts; none where there is no /proc.
func (a *actors) cpu() (time.Duration, error) {
	var sum time.Duration
	for _, one := range a.all {
		sum += familyCPU(one.cmd.Process.Pid)
	}
	return sum, nil
}
