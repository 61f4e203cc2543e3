//go:build unix

package servers

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// entry is what the process table says about one process.
type entry struct {
	id, parent int
	zombie     bool
	stopped    bool
	birth      string
}

// Stopped reports whether a process is frozen, by SIGSTOP.
func Stopped(id int) bool {
	e, ok := look(id)
	return ok && e.stopped
}

// allStopped reports whether every thread of a process is frozen; where the
// process table has no threads, whether the process is.
func allStopped(id int) bool {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/[0-9]*/stat", id))
	if err != nil || len(threads) == 0 {
		return Stopped(id)
	}
	for _, file := range threads {
		raw, err := os.ReadFile(file)
		if err != nil {
			continue // it ended meanwhile
		}
		if e, err := parseStat(string(raw)); err == nil && !e.stopped && !e.zombie {
			return false
		}
	}
	return true
}

// look returns the process table's entry for a process id.
func look(id int) (entry, bool) {
	if hasProc() {
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", id))
		if err != nil {
			return entry{}, false
		}
		e, err := parseStat(string(raw))
		return e, err == nil
	}
	table, err := ps("-p", strconv.Itoa(id))
	if err != nil || len(table) != 1 {
		return entry{}, false
	}
	return table[0], true
}

// descendants returns the children of a process, their children, and so on.
func descendants(id int) ([]Process, error) {
	table, err := everybody()
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	family, found := map[int]bool{id: true}, []Process(nil)
	for grown := true; grown; {
		grown = false
		for _, e := range table {
			if family[e.parent] && !family[e.id] {
				family[e.id], grown = true, true
				found = append(found, Process{ID: e.id, Birth: e.birth})
			}
		}
	}
	return found, nil
}

func everybody() ([]entry, error) {
	if !hasProc() {
		return ps("-A")
	}
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	var table []entry
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			continue // it ended meanwhile
		}
		if e, err := parseStat(string(raw)); err == nil {
			table = append(table, e)
		}
	}
	return table, nil
}

func hasProc() bool {
	_, err := os.Stat("/proc/self/stat")
	return !errors.Is(err, fs.ErrNotExist)
}

// parseStat reads a line of Linux's /proc/<pid>/stat. The command's name, in
// parentheses, may hold anything, parentheses and spaces included.
func parseStat(line string) (entry, error) {
	open, end := strings.IndexByte(line, '('), strings.LastIndexByte(line, ')')
	if open < 0 || end < open {
		return entry{}, fmt.Errorf("process table: no command name in %q", line)
	}
	rest := strings.Fields(line[end+1:])
	if len(rest) < 20 {
		return entry{}, fmt.Errorf("process table: too few fields in %q", line)
	}
	id, errID := strconv.Atoi(strings.TrimSpace(line[:open]))
	parent, errParent := strconv.Atoi(rest[1])
	if err := errors.Join(errID, errParent); err != nil {
		return entry{}, fmt.Errorf("process table: %w", err)
	}
	return entry{id: id, parent: parent, zombie: rest[0] == "Z" || rest[0] == "X", stopped: rest[0] == "T", birth: rest[19]}, nil
}

// ps asks the ps command, where there is no /proc.
func ps(which ...string) ([]entry, error) {
	args := append([]string{"-o", "pid=,ppid=,stat=,lstart="}, which...)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "ps", args...).Output()
	if err != nil {
		return nil, fmt.Errorf("ps: %w", err)
	}
	var table []entry
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		if len(f) < 4 {
			continue
		}
		id, errID := strconv.Atoi(f[0])
		parent, errParent := strconv.Atoi(f[1])
		if err := errors.Join(errID, errParent); err != nil {
			return nil, fmt.Errorf("ps: %w", err)
		}
		table = append(table, entry{
			id: id, parent: parent, zombie: strings.HasPrefix(f[2], "Z"), stopped: strings.HasPrefix(f[2], "T"),
			birth: strings.Join(f[3:], " "),
		})
	}
	return table, nil
}
