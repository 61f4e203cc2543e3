//go:build unix

package servers

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// shell starts a shell script as a node's process would be started.
func shell(t *testing.T, script string) Process {
	t.Helper()
	p, err := launch(command{
		path: "/bin/sh", args: []string{"-c", script}, env: bareEnv(),
		dir: t.TempDir(), log: filepath.Join(t.TempDir(), "log"),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.kill(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return p
}

// family waits until the process has a child.
func family(t *testing.T, p Process) []Process {
	t.Helper()
	var found []Process
	wait(t, "a child", func() bool {
		var err error
		if found, err = descendants(p.ID); err != nil {
			t.Fatal(err)
		}
		return len(found) > 0
	})
	return found
}

func wait(t *testing.T, what string, ready func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	err := Until(ctx, func(context.Context) error {
		if !ready() {
			return os.ErrDeadlineExceeded
		}
		return nil
	})
	if err != nil {
		t.Fatalf("no %s: %v", what, err)
	}
}

func TestKillEndsTheWholeFamily(t *testing.T) {
	t.Parallel()
	p := shell(t, "sleep 100 & wait")
	children := family(t, p)
	if err := p.kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, q := range append(children, p) {
		if q.Alive() {
			t.Errorf("process %d survived", q.ID)
		}
	}
}

func TestStopIsForcedOnOneThatDoesNotListen(t *testing.T) {
	t.Parallel()
	p := shell(t, `trap "" TERM; sleep 100 & while :; do wait; done`)
	family(t, p)
	if err := p.stop(t.Context(), syscall.SIGTERM, 200*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if p.Alive() {
		t.Error("it is still there")
	}
}

func TestStopWorksOnAFrozenProcess(t *testing.T) {
	t.Parallel()
	p := shell(t, "sleep 100 & wait")
	family(t, p)
	if err := p.freeze(); err != nil {
		t.Fatal(err)
	}
	if !p.Alive() {
		t.Fatal("a frozen process is alive")
	}
	if err := p.stop(t.Context(), syscall.SIGTERM, 5*time.Second); err != nil {
		t.Fatal(err)
	}
	if p.Alive() {
		t.Error("it is still there")
	}
}

func TestProcessIsNotTakenForALaterOneWithItsID(t *testing.T) {
	t.Parallel()
	p := shell(t, "sleep 100")
	other := Process{ID: p.ID, Birth: "another time"}
	if other.Alive() {
		t.Error("a process with another birth counts as this one")
	}
	if err := other.kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !p.Alive() {
		t.Error("the stranger with the same id was killed")
	}
}

func TestZeroProcessIsNobody(t *testing.T) {
	t.Parallel()
	var p Process
	if p.Alive() {
		t.Error("the zero Process is alive")
	}
	if err := p.stop(t.Context(), syscall.SIGTERM, time.Second); err != nil {
		t.Error(err)
	}
	if err := p.kill(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestParseStat(t *testing.T) {
	t.Parallel()
	const rest = " S 7 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 998877 4096 1\n"
	for name, comm := range map[string]string{"plain": "beam.smp", "with spaces": "postgres: io", "with parentheses": "a) S (b"} {
		e, err := parseStat("12 (" + comm + ")" + rest)
		if want := (entry{id: 12, parent: 7, birth: "998877"}); err != nil || e != want {
			t.Errorf("%s: %+v, %v, want %+v", name, e, err, want)
		}
	}
	if e, err := parseStat("12 (sh)" + strings.Replace(rest, " S ", " Z ", 1)); err != nil || !e.zombie {
		t.Errorf("a zombie: %+v, %v", e, err)
	}
	for _, bad := range []string{"", "12 sh S 1", "x (sh)" + rest, "12 (sh) S 1"} {
		if e, err := parseStat(bad); err == nil {
			t.Errorf("parseStat(%q) = %+v, want an error", bad, e)
		}
	}
}

// A server has nothing of its starter's, whose lock it would hold for as long as it
// lives. Not parallel: what others start meanwhile would have it too.
func TestServersInheritNothing(t *testing.T) {
	var ends [2]int
	if err := syscall.Pipe(ends[:]); err != nil { // which children inherit
		t.Fatal(err)
	}
	read := os.NewFile(uintptr(ends[0]), "read")
	defer func() { _ = read.Close() }()
	p := shell(t, "sleep 60 & wait")
	family(t, p) // it runs, and has opened and closed what it wants to
	if err := syscall.Close(ends[1]); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { // ends with the pipe, or with the process
		_, err := read.Read(make([]byte, 1))
		ended <- err
	}()
	select {
	case err := <-ended:
		if !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
	case <-time.After(10 * time.Second):
		if err := p.kill(context.Background()); err != nil {
			t.Fatal(err)
		}
		t.Errorf("the process held its starter's pipe until it was killed: %v", <-ended)
	}
}
