//go:build unix

// Package faults_test is the fault matrix: every fault that docs/reliability.md
// names breaks something real here, at its worst moment, and the books of the
// shop must balance afterwards.
//
// The servers are the package's own. A test that breaks a server, and not only
// its own way to it, or that keeps a server busy with tens of thousands of rows,
// must not call t.Parallel: all such run one after the other, before those that do.
// Those that do mostly wait, so several run at once.
package faults_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/ackbox/ackbox/internal/integration/site"
	"github.com/ackbox/ackbox/internal/testenv"
)

// ground are the servers that may be broken; shopd is the program to kill.
var (
	ground *site.Site
	shopd  string
)

func TestMain(m *testing.M) {
	testenv.AtOnce(4)
	if err := prepare(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m,
		goleak.IgnoreCurrent(), // the site's proxies
		// GORM's cache of prepared statements has a goroutine that nothing ends.
		goleak.IgnoreTopFunction("gorm.io/gorm/internal/lru.NewLRU[...].func1"),
		goleak.Cleanup(func(code int) {
			if err := ground.Close(); err != nil {
				fmt.Fprintln(os.Stderr, err)
				code = 1
			}
			_ = os.RemoveAll(dir)
			os.Exit(code)
		}))
}

var dir string

func prepare() (err error) {
	ctx := context.Background()
	if dir, err = os.MkdirTemp("", "ackbox-faults-"); err != nil {
		return err
	}
	if shopd, err = site.Build(ctx, dir); err != nil {
		return err
	}
	if ground, err = site.Open(ctx); err != nil {
		return err
	}
	// Package testenv makes databases and vhosts in our servers instead.
	for name, value := range map[string]string{
		testenv.DatabaseVar: ground.Postgres.URL(), testenv.AMQPVar: ground.RabbitMQ.URL(), testenv.APIVar: ground.RabbitMQ.API(),
	} {
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	return nil
}
