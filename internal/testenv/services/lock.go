//go:build unix

package services

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// patience bounds the wait for another command that starts, stops or installs.
const patience = 15 * time.Minute

// lock keeps other commands from starting and stopping servers of the same
// folder meanwhile. The operating system releases it if we are killed.
func lock(ctx context.Context, root string) (unlock func(), err error) {
	// Open to all: PostgreSQL's own account has to pass.
	if err := os.MkdirAll(root, 0o755); err != nil {
		return nil, fmt.Errorf("services: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(root, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("services: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			// Closing it is unlocking it, and a failure leaves nothing to do.
			return func() { _ = f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", f.Name(), err), f.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("another services command holds %s: %w", f.Name(), ctx.Err()), f.Close())
		case <-tick.C:
		}
	}
}
