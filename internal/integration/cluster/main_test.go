//go:build unix

// Package cluster_test is the part of the fault matrix that takes more than one
// server of a kind: a RabbitMQ of three nodes that are killed, cut off and
// restarted, and a PostgreSQL whose standby takes over. The books of the shop must
// balance afterwards.
//
// The servers are the package's own and are broken by all tests: none is parallel.
package cluster_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/ackbox/ackbox/internal/integration/site"
	"github.com/ackbox/ackbox/internal/testenv"
)

// ground has the cluster; shopd is the program of the shop's processes.
var (
	ground *site.Site
	shopd  string
)

func TestMain(m *testing.M) {
	dir, err := prepare()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m,
		goleak.IgnoreCurrent(), // the site's proxies
		goleak.Cleanup(func(code int) {
			if err := ground.Close(); err != nil {
				fmt.Fprintln(os.Stderr, err)
				code = 1
			}
			_ = os.RemoveAll(dir)
			os.Exit(code)
		}))
}

func prepare() (dir string, err error) {
	ctx := context.Background()
	if dir, err = os.MkdirTemp("", "ackbox-cluster-"); err != nil {
		return "", err
	}
	if shopd, err = site.Build(ctx, dir); err != nil {
		return dir, err
	}
	if ground, err = site.OpenCluster(ctx); err != nil {
		return dir, err
	}
	// Package testenv makes databases and vhosts in our servers instead.
	for name, value := range map[string]string{
		testenv.DatabaseVar: ground.Postgres.URL(), testenv.AMQPVar: ground.RabbitMQ.URL(), testenv.APIVar: ground.RabbitMQ.API(),
	} {
		if err := os.Setenv(name, value); err != nil {
			return dir, err
		}
	}
	return dir, nil
}
