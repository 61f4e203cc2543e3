//go:build unix

package services

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/ackbox/ackbox/internal/testenv"
	"github.com/ackbox/ackbox/internal/testenv/apt"
	"github.com/ackbox/ackbox/internal/testenv/browser"
	"github.com/ackbox/ackbox/internal/testenv/servers"
)

// sourceKind is where a server comes from.
type sourceKind string

const (
	environment sourceKind = "environment"
	local       sourceKind = "local"
	docker      sourceKind = "docker"
)

// source is how to get one server: at a URL, from a folder of programs, or from
// an image.
type source struct {
	kind sourceKind
	bin  string
}

type sources struct {
	env                URLs
	postgres, rabbitmq source
}

// machine is what locate asks about the machine; tests put another in place.
type machine struct {
	getenv        func(string) string
	findPostgres  func() (string, error)
	findRabbitMQ  func() (string, error)
	findPgBouncer func() (string, error)
	findNode      func() (string, error)
	findPika      func() (string, error)
	findBrowser   func() (string, error)
	docker        func(context.Context) bool
	installable   func() bool
	install       func(ctx context.Context, log string, packages ...string) error
}

// locate installs what programs can be had, and decides where each server comes
// from.
func (m Manager) locate(ctx context.Context, on machine) (sources, error) {
	env, err := fromEnvironment(on.getenv)
	if err != nil {
		return sources{}, err
	}
	s := sources{env: env}
	incomplete := m.ensure(ctx, on)
	s.postgres, err = pick(ctx, env.Database, on.findPostgres, on.docker)
	if err != nil {
		return sources{}, err
	}
	s.rabbitmq, err = pick(ctx, env.AMQP, on.findRabbitMQ, on.docker)
	if err != nil {
		return sources{}, err
	}
	if s.postgres.kind == "" || s.rabbitmq.kind == "" {
		return sources{}, errors.Join(incomplete, absent(s))
	}
	if incomplete != nil {
		m.say("%v", incomplete)
	}
	return s, nil
}

// pick returns the first source of a server that exists, or none.
func pick(ctx context.Context, url string, find func() (string, error), dockerRuns func(context.Context) bool) (source, error) {
	if url != "" {
		return source{kind: environment}, nil
	}
	bin, err := find()
	switch {
	case err == nil:
		return source{kind: local, bin: bin}, nil
	case !errors.Is(err, servers.ErrNotInstalled):
		return source{}, err
	case dockerRuns(ctx):
		return source{kind: docker}, nil
	}
	return source{}, nil
}

// fromEnvironment reads the variables that name servers. RabbitMQ's two belong
// together: a vhost for each test takes the management API.
func fromEnvironment(getenv func(string) string) (URLs, error) {
	u := URLs{
		Database: getenv(testenv.DatabaseVar),
		AMQP:     getenv(testenv.AMQPVar),
		API:      getenv(testenv.APIVar),
	}
	switch {
	case u.AMQP != "" && u.API == "":
		return URLs{}, fmt.Errorf("%s is set and %s is not: tests make their vhosts through the management API, so set it to http://user:password@host:15672 of the same server, or unset both", testenv.AMQPVar, testenv.APIVar)
	case u.AMQP == "" && u.API != "":
		return URLs{}, fmt.Errorf("%s is set and %s is not: set it to amqp://user:password@host:5672/ of the same server, or unset both", testenv.APIVar, testenv.AMQPVar)
	}
	return u, nil
}

// absent says what to do about servers that are nowhere.
func absent(s sources) error {
	lines := []string{"a server for the tests is missing, and no Docker engine answers"}
	if s.postgres.kind == "" {
		lines = append(lines, "PostgreSQL: install it (Debian: postgresql; Homebrew: postgresql), or set "+testenv.DatabaseVar)
	}
	if s.rabbitmq.kind == "" {
		lines = append(lines, "RabbitMQ: install it (Debian: rabbitmq-server; Homebrew: rabbitmq), or set "+testenv.AMQPVar+" and "+testenv.APIVar)
	}
	return errors.New(strings.Join(append(lines, "or start a Docker engine"), "\n  - "))
}

func thisMachine(getenv func(string) string) machine {
	return machine{
		getenv:        getenv,
		findPostgres:  servers.FindPostgres,
		findRabbitMQ:  servers.FindRabbitMQ,
		findPgBouncer: servers.FindPgBouncer,
		findNode:      findNode,
		findPika:      findPika,
		findBrowser:   browser.Find,
		docker:        dockerAnswers,
		installable:   apt.Usable,
		install:       apt.Install,
	}
}
