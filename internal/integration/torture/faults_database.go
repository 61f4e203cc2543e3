//go:build unix

package torture

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"gorm.io/gorm"

	"github.com/ackbox/ackbox/internal/integration/site"
)

func databaseFaults() []fault {
	return []fault{
		{"database", "restarted", restartDatabase},
		{"database", "killed", killDatabase},
		{"database", "frozen", freezeDatabase},
		{"database", "every session terminated", terminateSessions},
		{"database", "read-only", readOnlyDatabase},
		{"database", "out of connections", exhaustDatabase},
		{"database", "jobs table locked", lockTable},
		{"database", "jobs' rows locked", lockRows},
		{"database", "pooler killed", killPooler},
	}
}

func restartDatabase(ctx context.Context, r *run, rnd *rand.Rand) (string, error) {
	d := between(rnd, 0, 2*time.Second)
	err := r.site.Postgres.Stop(ctx)
	hold(ctx, d)
	return d.String(), errors.Join(err, r.site.Postgres.Start(context.WithoutCancel(ctx)))
}

func killDatabase(ctx context.Context, r *run, rnd *rand.Rand) (string, error) {
	d := between(rnd, 0, 2*time.Second)
	err := r.site.Postgres.Kill(ctx)
	hold(ctx, d)
	return d.String(), errors.Join(err, r.site.Postgres.Start(context.WithoutCancel(ctx)))
}

func killPooler(ctx context.Context, r *run, rnd *rand.Rand) (string, error) {
	d := between(rnd, 0, 3*time.Second)
	err := r.site.PgBouncer.Kill(ctx)
	hold(ctx, d)
	return d.String(), errors.Join(err, r.site.PgBouncer.Start(context.WithoutCancel(ctx)))
}

func freezeDatabase(ctx context.Context, r *run, rnd *rand.Rand) (string, error) {
	d := between(rnd, 200*time.Millisecond, 5*time.Second)
	if err := r.site.Postgres.Freeze(); err != nil {
		return "", err
	}
	hold(ctx, d)
	return d.String(), r.site.Postgres.Thaw()
}

func terminateSessions(ctx context.Context, r *run, rnd *rand.Rand) (string, error) {
	times := 1 + rnd.IntN(5)
	for range times {
		err := r.admin(ctx, site.Role, func(db *gorm.DB) error {
			return db.Exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'`).Error
		})
		if err != nil {
			return "", err
		}
		hold(ctx, between(rnd, 10*time.Millisecond, 300*time.Millisecond))
	}
	return fmt.Sprintf("%d times", times), nil
}

// readOnlyDatabase is what a primary looks like that has become a standby:
// every new transaction may only read.
func readOnlyDatabase(ctx context.Context, r *run, rnd *rand.Rand) (string, error) {
	d := between(rnd, 500*time.Millisecond, 4*time.Second)
	set := func(ctx context.Context, value string) error {
		return r.admin(ctx, site.Role, func(db *gorm.DB) error {
			if err := db.Exec(`ALTER SYSTEM SET default_transaction_read_only = ` + value).Error; err != nil {
				return err
			}
			return db.Exec(`SELECT pg_reload_conf()`).Error
		})
	}
	if err := set(ctx, "on"); err != nil {
		return "", err
	}
	hold(ctx, d)
	return d.String(), set(context.WithoutCancel(ctx), "off")
}

// exhaustDatabase leaves the shop two connections in all, and cuts those it has.
func exhaustDatabase(ctx context.Context, r *run, rnd *rand.Rand) (string, error) {
	d := between(rnd, 500*time.Millisecond, 4*time.Second)
	err := r.admin(ctx, site.Role, func(db *gorm.DB) error {
		if err := db.Exec(`ALTER ROLE ` + site.Role + ` CONNECTION LIMIT 2`).Error; err != nil {
			return err
		}
		return db.Exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'`).Error
	})
	hold(ctx, d)
	return d.String(), errors.Join(err, r.admin(context.WithoutCancel(ctx), site.Role, func(db *gorm.DB) error {
		return db.Exec(`ALTER ROLE ` + site.Role + ` CONNECTION LIMIT -1`).Error
	}))
}

func lockTable(ctx context.Context, r *run, rnd *rand.Rand) (string, error) {
	return r.locked(ctx, `LOCK TABLE ackbox_jobs IN ACCESS EXCLUSIVE MODE`, between(rnd, 200*time.Millisecond, 4*time.Second))
}

func lockRows(ctx context.Context, r *run, rnd *rand.Rand) (string, error) {
	return r.locked(ctx, `SELECT FROM ackbox_jobs WHERE finished_at IS NULL ORDER BY random() LIMIT 500 FOR UPDATE SKIP LOCKED`,
		between(rnd, 200*time.Millisecond, 4*time.Second))
}

// locked holds what statement locks for d.
func (r *run) locked(ctx context.Context, statement string, d time.Duration) (string, error) {
	return d.String(), r.admin(ctx, site.Role, func(db *gorm.DB) error {
		return db.Transaction(func(tx *gorm.DB) error {
			if err := tx.Exec(`SET LOCAL lock_timeout = '10s'`).Error; err != nil {
				return err
			}
			if err := tx.Exec(statement).Error; err != nil {
				return err
			}
			hold(ctx, d)
			return nil
		})
	})
}
