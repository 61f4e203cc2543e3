package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ownUsage is what this process has used up until now.
type ownUsage struct {
	cpu     time.Duration
	mallocs uint64 // heap objects that it allocated
}

func readOwn() (ownUsage, error) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	cpu, err := processCPU()
	return ownUsage{cpu: cpu, mallocs: m.Mallocs}, err
}

// serverUsage is what the servers have used up until now, for whomever: it means
// something only while nobody else uses them.
type serverUsage struct {
	postgres, rabbitmq time.Duration // CPU time, 0 if their processes are not known
	wal                float64       // bytes of PostgreSQL's log, of all its databases
}

func (e *Env) readServers(ctx context.Context) (serverUsage, error) {
	u := serverUsage{postgres: familyCPU(e.servers.postgres), rabbitmq: familyCPU(e.servers.rabbitmq)}
	if err := e.db.QueryRow(ctx, "SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::float8").Scan(&u.wal); err != nil {
		return u, fmt.Errorf("read the position of the log: %w", err)
	}
	return u, nil
}

// meter measures what n jobs cost each. Looking at the servers takes CPU time
// of our own, so it encloses the measurement of our own.
type meter struct {
	env     *Env
	own     ownUsage
	servers serverUsage
}

func (e *Env) newMeter(ctx context.Context) (m meter, err error) {
	m.env = e
	if m.servers, err = e.readServers(ctx); err != nil {
		return m, err
	}
	m.own, err = readOwn()
	return m, err
}

// metered measures what do does: n messages, how many per second and what each
// has cost.
func (e *Env) metered(ctx context.Context, n int, do func() error) (figures, error) {
	costs, err := e.newMeter(ctx)
	if err != nil {
		return nil, err
	}
	elapsed, err := e.timed(do)
	if err != nil {
		return nil, err
	}
	f := figures{"rate": float64(n) / elapsed.Seconds()}
	return f, costs.add(ctx, f, n)
}

// add adds to f what each of n jobs has cost since m was made.
func (m meter) add(ctx context.Context, f figures, n int) error {
	own, err := readOwn()
	if err != nil {
		return err
	}
	servers, err := m.env.readServers(ctx)
	if err != nil {
		return err
	}
	each := func(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) / float64(n) }
	cpu := own.cpu - m.own.cpu
	f["cpu"] = each(cpu)
	f["allocs"] = float64(own.mallocs-m.own.mallocs) / float64(n)
	f["wal"] = (servers.wal - m.servers.wal) / float64(n)
	if m.servers.postgres > 0 && m.servers.rabbitmq > 0 {
		postgres, rabbitmq := servers.postgres-m.servers.postgres, servers.rabbitmq-m.servers.rabbitmq
		f["postgres_cpu"], f["rabbitmq_cpu"], f["total_cpu"] = each(postgres), each(rabbitmq), each(cpu+postgres+rabbitmq)
	}
	return nil
}

// processCPU is the CPU time that this process has used.
func processCPU() (time.Duration, error) {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0, fmt.Errorf("getrusage: %w", err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano()), nil
}

// clockTick is the unit of CPU times in /proc, on every Linux that Go runs on.
const clockTick = 10 * time.Millisecond

// familyCPU is the CPU time of a process and all its descendants, those that
// have ended included; 0 if that cannot be known.
func familyCPU(root int) time.Duration {
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if root <= 0 || err != nil {
		return 0
	}
	parents, times := make(map[int]int), make(map[int]time.Duration)
	for _, file := range files {
		raw, err := os.ReadFile(file) //nolint:gosec // the system's own file
		if err != nil {
			continue // it ended meanwhile
		}
		if id, parent, cpu, ok := parseStat(string(raw)); ok {
			parents[id], times[id] = parent, cpu
		}
	}
	var sum time.Duration
	for id, cpu := range times {
		for at := id; at > 1; at = parents[at] {
			if at == root {
				sum += cpu
				break
			}
		}
	}
	return sum
}

// parseStat reads a line of /proc/<pid>/stat: the process, its parent, and the
// CPU time of it and of those of its children that have ended. The command's
// name, in parentheses, may hold anything.
func parseStat(line string) (id, parent int, cpu time.Duration, ok bool) {
	open, end := strings.IndexByte(line, '('), strings.LastIndexByte(line, ')')
	if open < 0 || end < open {
		return 0, 0, 0, false
	}
	id, err := strconv.Atoi(strings.TrimSpace(line[:open]))
	rest := strings.Fields(line[end+1:])
	if err != nil || len(rest) < 15 {
		return 0, 0, 0, false
	}
	if parent, err = strconv.Atoi(rest[1]); err != nil {
		return 0, 0, 0, false
	}
	for _, field := range rest[11:15] { // utime, stime, cutime, cstime
		ticks, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, 0, 0, false
		}
		cpu += time.Duration(ticks) * clockTick
	}
	return id, parent, cpu, true
}
