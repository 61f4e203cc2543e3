//go:build unix

package services

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/ackbox/ackbox/internal/testenv"
	"github.com/ackbox/ackbox/internal/testenv/browser"
	"github.com/ackbox/ackbox/internal/testenv/servers"
)

// fakeMachine has the named things on it; install adds to them.
func fakeMachine(env map[string]string, has ...string) (machine, *[]string) {
	var installed []string
	find := func(program, pkg string) func() (string, error) {
		return func() (string, error) {
			if slices.Contains(has, program) || slices.Contains(installed, pkg) {
				return "/bin/" + program, nil
			}
			return "", servers.ErrNotInstalled
		}
	}
	return machine{
		getenv:        func(name string) string { return env[name] },
		findPostgres:  find("postgres", "postgresql"),
		findRabbitMQ:  find("rabbit", "rabbitmq-server"),
		findPgBouncer: find("bouncer", "pgbouncer"),
		findNode:      find("node", "nodejs"),
		findPika:      find("pika", "python3-pika"),
		findBrowser:   find("chromium", "chromium"),
		docker:        func(context.Context) bool { return slices.Contains(has, "docker") },
		installable:   func() bool { return slices.Contains(has, "apt") },
		install: func(_ context.Context, _ string, packages ...string) error {
			installed = append(installed, packages...)
			return nil
		},
	}, &installed
}

func TestEachServerIsLookedForOnItsOwn(t *testing.T) {
	t.Parallel()
	database := map[string]string{testenv.DatabaseVar: "postgres://db"}
	both := map[string]string{testenv.DatabaseVar: "postgres://db", testenv.AMQPVar: "amqp://mq", testenv.APIVar: "http://mq"}
	for name, tc := range map[string]struct {
		env              map[string]string
		has              []string
		postgres, rabbit sourceKind
		installs         []string
	}{
		"the environment first":      {both, []string{"postgres", "rabbit", "bouncer", "node", "pika", "chromium", "docker", "apt"}, environment, environment, nil},
		"one from the environment":   {database, []string{"postgres", "rabbit"}, environment, local, nil},
		"programs before Docker":     {nil, []string{"postgres", "rabbit", "docker"}, local, local, nil},
		"Docker for what is missing": {nil, []string{"postgres", "docker"}, local, docker, nil},
		"packages before Docker":     {nil, []string{"postgres", "docker", "apt"}, local, local, []string{"rabbitmq-server", "pgbouncer", "nodejs", "python3-pika", "chromium"}},
		"packages for fault tests":   {both, []string{"docker", "apt"}, environment, environment, []string{"postgresql", "rabbitmq-server", "pgbouncer", "nodejs", "python3-pika", "chromium"}},
		"packages for all":           {nil, []string{"apt"}, local, local, []string{"postgresql", "rabbitmq-server", "pgbouncer", "nodejs", "python3-pika", "chromium"}},
	} {
		on, installed := fakeMachine(tc.env, tc.has...)
		s, err := Manager{Out: io.Discard}.locate(t.Context(), on)
		if err != nil || s.postgres.kind != tc.postgres || s.rabbitmq.kind != tc.rabbit {
			t.Errorf("%s: PostgreSQL from %q, RabbitMQ from %q, %v", name, s.postgres.kind, s.rabbitmq.kind, err)
		}
		if !slices.Equal(*installed, tc.installs) {
			t.Errorf("%s: installed %v, want %v", name, *installed, tc.installs)
		}
	}
}

func TestMissingServerSaysWhatToDo(t *testing.T) {
	t.Parallel()
	on, _ := fakeMachine(nil, "postgres")
	_, err := Manager{Out: io.Discard}.locate(t.Context(), on)
	if err == nil {
		t.Fatal("RabbitMQ was found where there is none")
	}
	for _, want := range []string{"rabbitmq-server", testenv.AMQPVar, testenv.APIVar, "Docker"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not mention %s: %v", want, err)
		}
	}
	if strings.Contains(err.Error(), testenv.DatabaseVar) {
		t.Errorf("the error speaks of PostgreSQL, which is there: %v", err)
	}
}

func TestFailedInstallationIsAnError(t *testing.T) {
	t.Parallel()
	on, _ := fakeMachine(nil, "apt")
	broken := errors.New("no network")
	on.install = func(context.Context, string, ...string) error { return broken }
	if _, err := (Manager{Out: io.Discard}).locate(t.Context(), on); !errors.Is(err, broken) {
		t.Errorf("locate: %v, want %v", err, broken)
	}
	on.install = func(context.Context, string, ...string) error { return nil } // and nothing is there
	if _, err := (Manager{Out: io.Discard}).locate(t.Context(), on); err == nil {
		t.Error("an installation that brought nothing was believed")
	}
}

// Servers can be had from elsewhere: what is missing for fault tests is one line.
func TestMissingProgramIsSaidInOneLine(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	m := Manager{Root: t.TempDir(), Out: &out}
	on, _ := fakeMachine(nil, "postgres", "rabbit")
	if _, err := m.locate(t.Context(), on); err != nil {
		t.Fatal(err)
	}
	if s := out.String(); strings.Count(s, "\n") != 1 || !strings.Contains(s, "PgBouncer") || !strings.Contains(s, "root") {
		t.Errorf("said: %q", s)
	}
	out.Reset()
	if err := m.install(t.Context(), on); err == nil || !strings.Contains(err.Error(), "PgBouncer") {
		t.Errorf("install: %v", err)
	}
	if s := out.String(); s != "services: PostgreSQL: /bin/postgres\nservices: RabbitMQ: /bin/rabbit\n" {
		t.Errorf("install said: %q", s)
	}
}

// A system without one of the packages gets the others.
func TestPackagesAreTriedOneByOne(t *testing.T) {
	t.Parallel()
	on, installed := fakeMachine(nil, "apt")
	unknown := errors.New("unable to locate package pgbouncer")
	all := on.install
	on.install = func(ctx context.Context, log string, packages ...string) error {
		if slices.Contains(packages, "pgbouncer") {
			return unknown
		}
		return all(ctx, log, packages...)
	}
	m := Manager{Root: t.TempDir(), Out: io.Discard}
	if err := m.install(t.Context(), on); !errors.Is(err, unknown) || strings.Contains(err.Error(), "RabbitMQ") {
		t.Errorf("install: %v", err)
	}
	if !slices.Equal(*installed, []string{"postgresql", "rabbitmq-server", "nodejs", "python3-pika", "chromium"}) {
		t.Errorf("installed %v", *installed)
	}
	if s, err := m.locate(t.Context(), on); err != nil || s.postgres.kind != local || s.rabbitmq.kind != local {
		t.Errorf("PostgreSQL from %q, RabbitMQ from %q, %v", s.postgres.kind, s.rabbitmq.kind, err)
	}
}

// Where no test looks at pages, no browser is fetched.
func TestBrowserIsInstalledUnlessNoneIsWanted(t *testing.T) {
	t.Parallel()
	for value, want := range map[string][]string{"": {"chromium"}, browser.None: nil} {
		on, installed := fakeMachine(map[string]string{browser.Var: value}, "postgres", "rabbit", "bouncer", "node", "pika", "apt")
		if _, err := (Manager{Out: io.Discard}).locate(t.Context(), on); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(*installed, want) {
			t.Errorf("%s=%q: installed %v, want %v", browser.Var, value, *installed, want)
		}
	}
}

func TestRabbitMQVariablesBelongTogether(t *testing.T) {
	t.Parallel()
	for set, missing := range map[string]string{testenv.AMQPVar: testenv.APIVar, testenv.APIVar: testenv.AMQPVar} {
		on, _ := fakeMachine(map[string]string{set: "x://secret@mq"}, "postgres", "rabbit")
		_, err := Manager{Out: io.Discard}.locate(t.Context(), on)
		if err == nil || !strings.Contains(err.Error(), missing+" is not") {
			t.Errorf("with %s alone: %v, want an error that names %s", set, err, missing)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("the error shows a URL: %v", err)
		}
	}
}
