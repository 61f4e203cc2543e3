package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"time"

	"github.com/jackc/pgx/v5"
)

// Env is what one side of one round is measured in.
type Env struct {
	// Database and AMQP are the URLs of an empty database and an empty vhost.
	Database, AMQP string
	// sizes say how much is to be done.
	sizes sizes

	name    string // of database, vhost and its user
	servers *servers
	db      *pgx.Conn // to look at the database beside what is measured
	profile string    // file for a CPU profile of the measured part, if any
}

// dropTimeout bounds the removal of a database and a vhost.
const dropTimeout = time.Minute

// drop removes database and vhost, connected clients or not.
func (e *Env) drop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, dropTimeout)
	defer cancel()
	var errs []error
	if e.db != nil {
		errs = append(errs, e.db.Close(ctx))
	}
	errs = append(errs,
		e.servers.execute(ctx, "DROP DATABASE IF EXISTS "+e.name+" WITH (FORCE)"),
		e.servers.api.DeleteVhost(ctx, e.name, e.name),
	)
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("clean up: %w", err)
	}
	return nil
}

// settle readies the database for a measurement, for both sides alike: tables
// vacuumed and analysed, as autovacuum would have them in the long run, and
// what was prepared checkpointed, so that the measured part does not pay for it.
func (e *Env) settle(ctx context.Context) error {
	for _, statement := range []string{"VACUUM (ANALYZE)", "CHECKPOINT"} {
		if _, err := e.db.Exec(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}

// timed runs the measured part of a side and returns how long it took. The
// garbage of the preparation is collected before.
func (e *Env) timed(do func() error) (elapsed time.Duration, err error) {
	runtime.GC()
	stop, err := e.startProfile()
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	began := time.Now()
	if err := do(); err != nil {
		return 0, err
	}
	return time.Since(began), nil
}

func (e *Env) startProfile() (stop func() error, err error) {
	if e.profile == "" {
		return func() error { return nil }, nil
	}
	file, err := os.Create(e.profile)
	if err != nil {
		return nil, fmt.Errorf("profile: %w", err)
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		return nil, errors.Join(fmt.Errorf("profile: %w", err), file.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		return file.Close()
	}, nil
}

// lookStep is the pause between two looks at something that does not tell by
// itself that it is over. It is what an end may be late by.
const lookStep = 2 * time.Millisecond

// await looks until over reports true, as long as ctx lives.
func await(ctx context.Context, over func() (bool, error)) error {
	tick := time.NewTicker(lookStep)
	defer tick.Stop()
	for {
		if yes, err := over(); err != nil || yes {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// awaitDatabase waits until query, which selects one boolean, says true.
func (e *Env) awaitDatabase(ctx context.Context, query string) error {
	return await(ctx, func() (over bool, err error) {
		if err := e.db.QueryRow(ctx, query).Scan(&over); err != nil {
			return false, fmt.Errorf("look whether all is done: %w", err)
		}
		return over, nil
	})
}

// expect checks a count of the database's after a measurement: what was not
// done must not count as fast.
func (e *Env) expect(ctx context.Context, want int, query string) error {
	var n int
	if err := e.db.QueryRow(ctx, query).Scan(&n); err != nil {
		return fmt.Errorf("check the outcome: %w", err)
	}
	if n != want {
		return fmt.Errorf("check the outcome: %d rows, want %d: %s", n, want, query)
	}
	return nil
}
