//go:build unix

package servers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Follow makes a node that is not running, and has no data, a streaming standby of
// a primary that runs, and starts it. It takes reads, and writes after Promote.
func (n *Postgres) Follow(ctx context.Context, primary *Postgres) error {
	ctx, cancel := context.WithTimeout(ctx, 2*postgresStart)
	defer cancel()
	account, err := PostgresAccount()
	if err != nil {
		return err
	}
	if _, err := os.Stat(n.data()); err == nil {
		return fmt.Errorf("PostgreSQL: there is data in %s: Wipe it before the node follows another", n.Options.Dir)
	}
	// It will have the primary's passwords, and every other row.
	n.Options.Password = primary.Options.Password
	cmd := exec.CommandContext(ctx, filepath.Join(n.Options.Bin, "pg_basebackup"),
		"--pgdata="+n.data(), "--write-recovery-conf", "--checkpoint=fast", "--wal-method=stream", "--no-sync", "--dbname="+primary.URL())
	cmd.Env, cmd.Dir, cmd.WaitDelay = bareEnv(), n.Options.Dir, 5*time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: account.credential()}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("pg_basebackup: %w\n%s", err, strings.TrimSpace(string(out)))
	}
	return n.Start(ctx)
}

// Promote makes a standby a primary and waits until it takes writes.
func (n *Postgres) Promote(ctx context.Context) error {
	promoted, err := ask[bool](ctx, n.URL(), "SELECT pg_promote(true, 60)")
	if err == nil && !promoted {
		err = errors.New("it does not become a primary")
	}
	return err
}

// Synchronous has a primary confirm a commit only when a standby has written it
// down, and waits until there is one that does.
func (n *Postgres) Synchronous(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, postgresStart)
	defer cancel()
	if _, err := ask[string](ctx, n.URL(), "ALTER SYSTEM SET synchronous_standby_names = '*'"); err != nil {
		return err
	}
	if _, err := ask[bool](ctx, n.URL(), "SELECT pg_reload_conf()"); err != nil {
		return err
	}
	return Until(ctx, func(ctx context.Context) error {
		standbys, err := ask[int](ctx, n.URL(), "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'")
		if err == nil && standbys == 0 {
			err = errors.New("no standby is synchronous")
		}
		return err
	})
}
