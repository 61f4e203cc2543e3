package testenv

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"testing"

	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
)

// poolSize is how many connections Postgres opens at most: the server takes 200
// from all tests that run at once.
const poolSize = 20

var (
	databases perTest[string]
	handles   perTest[*gorm.DB]
)

// DatabaseURL returns the URL of an empty database of the test's own. It is
// dropped when the test ends, connected clients or not.
func DatabaseURL(tb testing.TB) string {
	tb.Helper()
	return databases.get(tb, createDatabase)
}

// Postgres returns the test's own database (see DatabaseURL), opened, with a
// silent logger. It is closed when the test ends.
func Postgres(tb testing.TB) *gorm.DB {
	tb.Helper()
	dsn := DatabaseURL(tb)
	return handles.get(tb, func(ctx context.Context) (*gorm.DB, func(context.Context) error, error) {
		db, closeFn, err := open(ctx, dsn, poolSize)
		if err != nil {
			return nil, nil, err
		}
		return db, func(context.Context) error { return closeFn() }, nil
	})
}

func createDatabase(ctx context.Context) (string, func(context.Context) error, error) {
	server, err := variable(DatabaseVar)
	if err != nil {
		return "", nil, err
	}
	name := randomName()
	own, err := withDatabase(server, name)
	if err != nil {
		return "", nil, err
	}
	// The name is ours: letters, digits and an underscore.
	if err := execute(ctx, server, "CREATE DATABASE "+name); err != nil {
		return "", nil, fmt.Errorf("create a database in the server of %s: %w", DatabaseVar, err)
	}
	return own, func(ctx context.Context) error {
		return execute(ctx, server, "DROP DATABASE "+name+" WITH (FORCE)")
	}, nil
}

// withDatabase returns a server's URL with another database in it.
func withDatabase(server, name string) (string, error) {
	u, err := url.Parse(server)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" || u.Host == "" {
		// The URL itself may hold a password: it is not shown.
		return "", errors.New(DatabaseVar + " must look like postgres://user:password@host:5432/postgres?sslmode=disable")
	}
	u.Path = "/" + name
	return u.String(), nil
}

// open opens a database with at most size connections.
func open(ctx context.Context, dsn string, size int) (*gorm.DB, func() error, error) {
	db, err := gorm.Open(postgres.Open(dsn), &gorm.Config{
		Logger: logger.Discard, DisableAutomaticPing: true,
	})
	if err != nil {
		return nil, nil, fmt.Errorf("open the database: %w", err)
	}
	pool, err := db.DB()
	if err != nil {
		return nil, nil, fmt.Errorf("open the database: %w", err)
	}
	pool.SetMaxOpenConns(size)
	pool.SetMaxIdleConns(size)
	if err := pool.PingContext(ctx); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("reach the database: %w", err), pool.Close())
	}
	return db, pool.Close, nil
}

// execute runs one statement in a connection of its own.
func execute(ctx context.Context, dsn, statement string) (err error) {
	db, closeFn, err := open(ctx, dsn, 1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeFn()) }()
	return db.WithContext(ctx).Exec(statement).Error
}
