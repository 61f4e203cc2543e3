//go:build unix

package services

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/ackbox/ackbox/internal/testenv"
	"github.com/ackbox/ackbox/internal/testenv/servers"
)

// foreign is how long a server from the environment may take to answer.
const foreign = 15 * time.Second

func (m Manager) startPostgres(ctx context.Context, r *record, s source, given URLs) error {
	switch s.kind {
	case environment:
		ctx, cancel := context.WithTimeout(ctx, foreign)
		defer cancel()
		if err := servers.PingPostgres(ctx, given.Database); err != nil {
			return fmt.Errorf("the server of %s does not answer: %w", testenv.DatabaseVar, err)
		}
		m.say("PostgreSQL%s: from %s", version(servers.PostgresVersion(ctx, given.Database)), testenv.DatabaseVar)
		return r.update(func(st *state) { st.Postgres = instance{Source: environment, URL: given.Database} })
	case docker:
		i, err := m.startContainer(ctx, postgresImage, func(id string) error {
			return r.update(func(st *state) { st.Postgres = instance{Source: docker, Container: id} })
		})
		if err != nil {
			return err
		}
		return r.update(func(st *state) { st.Postgres = i })
	case local:
		return m.startPostgresNode(ctx, r, s)
	}
	return fmt.Errorf("PostgreSQL: unknown source %q", s.kind)
}

func (m Manager) startPostgresNode(ctx context.Context, r *record, s source) error {
	dir, err := postgresDir(r.dir)
	if err != nil {
		return err
	}
	n, err := servers.NewPostgres(servers.PostgresOptions{Bin: s.bin, Dir: dir})
	if err != nil {
		return err
	}
	save := func() error {
		return r.update(func(st *state) {
			st.Postgres = instance{Source: local, URL: n.URL(), PostgresNode: clone(n)}
		})
	}
	n.Options.Launched = save
	if err := save(); err != nil {
		return err
	}
	start := time.Now()
	if err := n.Start(ctx); err != nil {
		return err
	}
	m.say("PostgreSQL%s: %s, port %d, process %d, data in %s (%.1f s)",
		version(servers.PostgresVersion(ctx, n.URL())), s.bin, n.Options.Port, n.PID(), n.Options.Dir, time.Since(start).Seconds())
	return save()
}

// postgresDir returns a folder inside parent or, where PostgreSQL's account
// cannot reach that (below a closed home, say), "": a temporary one.
func postgresDir(parent string) (string, error) {
	account, err := servers.PostgresAccount()
	if err != nil {
		return "", err
	}
	ok, err := account.Reaches(parent)
	if err != nil || !ok {
		return "", err
	}
	dir := filepath.Join(parent, "postgres")
	// What a killed predecessor left has another password.
	return dir, os.RemoveAll(dir)
}

func (m Manager) startRabbitMQ(ctx context.Context, r *record, s source, given URLs) error {
	switch s.kind {
	case environment:
		ctx, cancel := context.WithTimeout(ctx, foreign)
		defer cancel()
		if err := servers.PingRabbitMQ(ctx, given.AMQP, given.API); err != nil {
			return fmt.Errorf("the server of %s and %s does not answer: %w", testenv.AMQPVar, testenv.APIVar, err)
		}
		m.say("RabbitMQ%s: from %s and %s", version(servers.RabbitMQVersion(ctx, given.API)), testenv.AMQPVar, testenv.APIVar)
		return r.update(func(st *state) {
			st.RabbitMQ = instance{Source: environment, URL: given.AMQP, API: given.API}
		})
	case docker:
		i, err := m.startContainer(ctx, rabbitImage, func(id string) error {
			return r.update(func(st *state) { st.RabbitMQ = instance{Source: docker, Container: id} })
		})
		if err != nil {
			return err
		}
		return r.update(func(st *state) { st.RabbitMQ = i })
	case local:
		return m.startRabbitNode(ctx, r, s)
	}
	return fmt.Errorf("RabbitMQ: unknown source %q", s.kind)
}

func (m Manager) startRabbitNode(ctx context.Context, r *record, s source) error {
	dir := filepath.Join(r.dir, "rabbitmq")
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	n, err := servers.NewRabbitMQ(servers.RabbitMQOptions{Bin: s.bin, Dir: dir})
	if err != nil {
		return err
	}
	save := func() error {
		return r.update(func(st *state) {
			st.RabbitMQ = instance{Source: local, URL: n.URL(), API: n.API(), RabbitNode: clone(n)}
		})
	}
	n.Options.Launched = save
	if err := save(); err != nil {
		return err
	}
	start := time.Now()
	if err := n.Start(ctx); err != nil {
		return err
	}
	m.say("RabbitMQ%s: %s, ports %d (AMQP) and %d (management), process %d, data in %s (%.1f s)",
		version(servers.RabbitMQVersion(ctx, n.API())), s.bin, n.Options.Port, n.Options.ManagementPort, n.PID(), n.Options.Dir, time.Since(start).Seconds())
	return save()
}

// version is a version for a line, or nothing if the server did not tell.
func version(v servers.Version, err error) string {
	if err != nil {
		return ""
	}
	return " " + v.String()
}

// clone copies a node for the record, which the other server's start may save
// at any time.
func clone[T any](node *T) *T {
	c := *node
	return &c
}
