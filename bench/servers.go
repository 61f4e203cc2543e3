package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/ackbox/ackbox/internal/testenv/management" //nolint:depguard // the bench makes vhosts as the tests do
	"github.com/ackbox/ackbox/internal/testenv/services"   //nolint:depguard // the bench runs on the tests' servers
)

// The variables that name servers; `make services-up` prints them.
const (
	databaseVar = "ACKBOX_TEST_DATABASE_URL"
	amqpVar     = "ACKBOX_TEST_AMQP_URL"
	apiVar      = "ACKBOX_TEST_RABBITMQ_API"
)

// servers are the PostgreSQL and RabbitMQ that everything is measured on.
type servers struct {
	urls services.URLs
	api  *management.Client
	// postgres and rabbitmq are their processes on this machine, 0 if unknown.
	postgres, rabbitmq int
}

// findServers takes the servers of the environment, or else those that
// `make services-up` left running.
func findServers(ctx context.Context) (*servers, error) {
	state := stateFolder()
	current, errCurrent := services.Manager{Root: state, Out: io.Discard}.Current(ctx)
	urls := services.URLs{Database: os.Getenv(databaseVar), AMQP: os.Getenv(amqpVar), API: os.Getenv(apiVar)}
	switch {
	case urls.Database == "" && urls.AMQP == "" && urls.API == "":
		if errCurrent != nil {
			return nil, errCurrent
		}
		urls = current
	case urls.Database == "" || urls.AMQP == "" || urls.API == "":
		return nil, fmt.Errorf("some of %s, %s and %s are set and some are not: set all of them, or none and run `make services-up`", databaseVar, amqpVar, apiVar)
	}
	api, err := management.New(urls.API)
	if err != nil {
		return nil, err
	}
	s := &servers{urls: urls, api: api}
	if errCurrent == nil && urls == current {
		s.postgres, s.rabbitmq = processes(filepath.Join(state, "state.json"))
	}
	return s, nil
}

// stateFolder is .services of the repository that the working directory is in.
func stateFolder() string {
	dir, err := os.Getwd()
	if err != nil {
		return ".services"
	}
	for at := dir; ; at = filepath.Dir(at) {
		if _, err := os.Stat(filepath.Join(at, "go.work")); err == nil {
			return filepath.Join(at, ".services")
		}
		if at == filepath.Dir(at) {
			return filepath.Join(dir, ".services")
		}
	}
}

// processes reads the ids of the servers' processes from what `make
// services-up` has saved. What is not there (servers in containers) is 0.
func processes(file string) (postgres, rabbitmq int) {
	type node struct {
		Process struct {
			ID int `json:"pid"`
		} `json:"process"`
	}
	var state struct {
		Postgres struct {
			Node node `json:"postgres_node"`
		} `json:"postgres"`
		RabbitMQ struct {
			Node node `json:"rabbitmq_node"`
		} `json:"rabbitmq"`
	}
	raw, err := os.ReadFile(file) //nolint:gosec // the repository's own file
	if err != nil || json.Unmarshal(raw, &state) != nil {
		return 0, 0
	}
	return state.Postgres.Node.Process.ID, state.RabbitMQ.Node.Process.ID
}

// fresh makes a database and a vhost that nobody else uses.
func (s *servers) fresh(ctx context.Context) (env *Env, err error) {
	name, password := "bench_"+strings.ToLower(rand.Text()[:16]), rand.Text()
	database, err := replaced(s.urls.Database, nil, name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", databaseVar, err)
	}
	amqp, err := replaced(s.urls.AMQP, url.UserPassword(name, password), name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", amqpVar, err)
	}
	env = &Env{Database: database, AMQP: amqp, name: name, servers: s}
	if err := s.execute(ctx, "CREATE DATABASE "+name); err != nil {
		return nil, fmt.Errorf("create a database: %w", err)
	}
	if err := s.api.CreateVhost(ctx, name, name, password); err != nil {
		return nil, errors.Join(fmt.Errorf("create a vhost: %w", err), env.drop(context.WithoutCancel(ctx)))
	}
	if env.db, err = pgx.Connect(ctx, database); err != nil {
		return nil, errors.Join(fmt.Errorf("connect to the new database: %w", err), env.drop(context.WithoutCancel(ctx)))
	}
	return env, nil
}

// execute runs one statement on a connection of its own.
func (s *servers) execute(ctx context.Context, statement string) (err error) {
	conn, err := pgx.Connect(ctx, s.urls.Database)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	_, err = conn.Exec(ctx, statement)
	return err
}

// replaced is a server's URL with another database or vhost in it, and, if
// user is not nil, another user. The URL may hold a password: no error has it.
func replaced(server string, user *url.Userinfo, path string) (string, error) {
	u, err := url.Parse(server)
	if err != nil || u.Host == "" {
		return "", errors.New("want a URL such as scheme://user:password@host:port/")
	}
	if user != nil {
		u.User = user
	}
	u.Path = "/" + path
	return u.String(), nil
}
