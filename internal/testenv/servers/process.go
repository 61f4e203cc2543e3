//go:build unix

package servers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

// pollStep is the pause between two looks at something that has no other way
// to tell that it has changed.
const pollStep = 20 * time.Millisecond

// Self returns the process that calls it.
func Self() Process {
	e, _ := look(os.Getpid())
	return Process{ID: os.Getpid(), Birth: e.birth}
}

// Process names an operating-system process for as long as it lives. Birth
// keeps it from being taken for another that got the same id later.
type Process struct {
	ID    int    `json:"pid"`
	Birth string `json:"birth"`
}

// command is what launch needs to know.
type command struct {
	path string
	args []string
	env  []string // the whole environment
	dir  string
	log  string // file that gets stdout and stderr, appended
	user *Account
}

// launch starts a process in a session of its own, so that neither a terminal's
// Ctrl-C nor the end of this program reaches it. It does not wait for it:
// Process looks at the process itself, so no goroutine is left behind.
func launch(c command) (Process, error) {
	log, err := os.OpenFile(c.log, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return Process{}, fmt.Errorf("open the log: %w", err)
	}
	cmd := exec.Command(c.path, c.args...) //nolint:noctx // it shall outlive us
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = c.env, c.dir, log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: c.user.credential()}
	keepInherited()
	if err := errors.Join(cmd.Start(), log.Close()); err != nil {
		return Process{}, fmt.Errorf("start %s: %w", c.path, err)
	}
	p := Process{ID: cmd.Process.Pid}
	if now, ok := look(p.ID); ok {
		p.Birth = now.birth
	}
	return p, cmd.Process.Release()
}

// keepInherited keeps to ourselves what whoever started us has left open: a server
// outlives us, and with it a lock that flock(1) holds, or the pipe that somebody reads
// to its end.
func keepInherited() {
	open, err := os.ReadDir("/dev/fd")
	if err != nil {
		return // nothing can be said of them
	}
	for _, entry := range open {
		if fd, err := strconv.Atoi(entry.Name()); err == nil && fd > 2 {
			syscall.CloseOnExec(fd)
		}
	}
}

// launched calls a node's hook, if it has one.
func launched(hook func() error) error {
	if hook == nil {
		return nil
	}
	return hook()
}

// Alive reports whether the process still runs.
func (p Process) Alive() bool {
	if p.ID <= 0 {
		return false
	}
	// A child that has ended stays as a zombie until it is waited for. The
	// error is of no interest: it says that the process is not our child.
	_, _ = syscall.Wait4(p.ID, nil, syscall.WNOHANG, nil)
	now, ok := look(p.ID)
	return ok && now.birth == p.Birth && !now.zombie
}

// signal sends sig to the process alone; a process that is gone is no error.
func (p Process) signal(sig syscall.Signal) error {
	if !p.Alive() {
		return nil
	}
	if err := syscall.Kill(p.ID, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("send %v to process %d: %w", sig, p.ID, err)
	}
	return nil
}

// signalTree sends sig to the process and then to all its descendants: the
// sessions of PostgreSQL are processes of their own, in groups of their own.
func (p Process) signalTree(sig syscall.Signal) error {
	if !p.Alive() {
		return nil
	}
	// A frozen parent forks no more, so that nobody slips through.
	if err := p.signal(syscall.SIGSTOP); err != nil {
		return err
	}
	family, errList := descendants(p.ID)
	errSignal := p.signal(sig)
	for _, child := range family {
		errSignal = errors.Join(errSignal, child.signal(sig))
	}
	return errors.Join(errList, errSignal)
}

// freezeWithin bounds the wait for a thread that is busy in the kernel: it stops
// when it comes back from there.
const freezeWithin = 10 * time.Second

// freeze stops the process and its descendants in their tracks; their sockets
// stay open and silent. It returns when all have stopped: kill(2) returns before,
// and a thread on another processor may still answer somebody.
func (p Process) freeze() error {
	family, err := descendants(p.ID)
	if err != nil {
		return err
	}
	if err := p.signalTree(syscall.SIGSTOP); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), freezeWithin)
	defer cancel()
	return Until(ctx, func(context.Context) error {
		for _, q := range append(family, p) {
			if q.Alive() && !allStopped(q.ID) {
				return fmt.Errorf("process %d still runs after SIGSTOP", q.ID)
			}
		}
		return nil
	})
}

// thaw undoes freeze.
func (p Process) thaw() error { return p.signalTree(syscall.SIGCONT) }

// kill ends the process and its descendants at once and waits until they are
// gone.
func (p Process) kill(ctx context.Context) error {
	if !p.Alive() {
		return nil // and process 0, before a first start, has everybody as its family
	}
	family, err := descendants(p.ID)
	if err != nil {
		return err
	}
	if err := p.signalTree(syscall.SIGKILL); err != nil {
		return err
	}
	return Until(ctx, func(context.Context) error {
		for _, q := range append(family, p) {
			if q.Alive() {
				return fmt.Errorf("process %d is still there after SIGKILL", q.ID)
			}
		}
		return nil
	})
}

// stop asks the process to end with sig and kills it, with its descendants, if
// it has not done so within grace.
func (p Process) stop(ctx context.Context, sig syscall.Signal, grace time.Duration) error {
	// It might be frozen, and then it could not hear us.
	if err := errors.Join(p.thaw(), p.signal(sig)); err != nil {
		return err
	}
	patient, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	err := Until(patient, func(context.Context) error {
		if p.Alive() {
			return fmt.Errorf("process %d does not stop", p.ID)
		}
		return nil
	})
	if err == nil {
		return nil
	}
	// The caller's context may be what ended: killing needs little time.
	ctx, cancelKill := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancelKill()
	return p.kill(ctx)
}

// answers waits until ask returns nil, and not longer than the process lives.
func (p Process) answers(ctx context.Context, ask func(context.Context) error) error {
	var died error
	err := Until(ctx, func(ctx context.Context) error {
		if !p.Alive() {
			died = errors.New("it ended at once")
			return nil
		}
		return ask(ctx)
	})
	return errors.Join(err, died)
}

// Until calls ask, a pause after each call, until it returns nil or ctx ends.
// The error holds the last answer.
func Until(ctx context.Context, ask func(context.Context) error) error {
	tick := time.NewTicker(pollStep)
	defer tick.Stop()
	for {
		err := ask(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		case <-tick.C:
		}
	}
}
