//go:build unix

package services

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/url"
	"os/exec"
	"strings"
	"time"

	"github.com/ackbox/ackbox/internal/testenv/servers"
)

// containerStart bounds a container's start, the download of its image
// included.
const containerStart = 5 * time.Minute

// image is a server as a container.
type image struct {
	name  string
	ports []string                       // inside, the first is the server's own
	env   func(password string) []string // NAME=value
	args  []string
	// urls makes the instance's addresses from host:port of each port.
	urls func(password string, at []string) instance
	ping func(context.Context, instance) error
}

var postgresImage = image{
	name:  "postgres:17",
	ports: []string{"5432"},
	env:   func(password string) []string { return []string{"POSTGRES_PASSWORD=" + password} },
	args:  []string{"-c", "max_connections=200", "-c", "fsync=on"},
	urls: func(password string, at []string) instance {
		u := url.URL{
			Scheme: "postgres", User: url.UserPassword("postgres", password),
			Host: at[0], Path: "/postgres", RawQuery: "sslmode=disable",
		}
		return instance{Source: docker, URL: u.String()}
	},
	ping: func(ctx context.Context, i instance) error { return servers.PingPostgres(ctx, i.URL) },
}

var rabbitImage = image{
	name:  "rabbitmq:4-management",
	ports: []string{"5672", "15672"},
	env: func(password string) []string {
		return []string{"RABBITMQ_DEFAULT_USER=ackbox", "RABBITMQ_DEFAULT_PASS=" + password}
	},
	urls: func(password string, at []string) instance {
		user := url.UserPassword("ackbox", password)
		amqp := url.URL{Scheme: "amqp", User: user, Host: at[0], Path: "/"}
		api := url.URL{Scheme: "http", User: user, Host: at[1]}
		return instance{Source: docker, URL: amqp.String(), API: api.String()}
	},
	ping: func(ctx context.Context, i instance) error { return servers.PingRabbitMQ(ctx, i.URL, i.API) },
}

// dockerAnswers reports whether there is an engine, not only its client.
func dockerAnswers(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	_, err := dockerRun(ctx, "info")
	return err == nil
}

// startContainer runs an image on loopback ports and waits until it answers.
// started is told the container's id as soon as there is one.
func (m Manager) startContainer(ctx context.Context, im image, started func(id string) error) (instance, error) {
	ctx, cancel := context.WithTimeout(ctx, containerStart)
	defer cancel()
	password := rand.Text()
	args := []string{"run", "--detach"}
	for _, p := range im.ports {
		args = append(args, "--publish", servers.Host+"::"+p)
	}
	for _, e := range im.env(password) {
		args = append(args, "--env", e)
	}
	id, err := dockerRun(ctx, append(append(args, im.name), im.args...)...)
	if err != nil {
		return instance{}, fmt.Errorf("start a container of %s: %w", im.name, err)
	}
	if err := started(id); err != nil {
		return instance{}, err
	}
	var at []string
	for _, p := range im.ports {
		out, err := dockerRun(ctx, "port", id, p)
		if err != nil {
			return instance{}, err
		}
		address, err := published(out)
		if err != nil {
			return instance{}, fmt.Errorf("%s, port %s: %w", im.name, p, err)
		}
		at = append(at, address)
	}
	i := im.urls(password, at)
	i.Container = id
	if err := servers.Until(ctx, func(ctx context.Context) error { return im.ping(ctx, i) }); err != nil {
		logs, errLogs := dockerRun(context.WithoutCancel(ctx), "logs", "--tail", "40", id)
		return instance{}, fmt.Errorf("a container of %s does not answer: %w\n%s", im.name, err, strings.TrimSpace(logs+fmt.Sprint(errLogs)))
	}
	m.say("%s: container %.12s at %s", im.name, id, strings.Join(at, " and "))
	return i, nil
}

// published reads what `docker port` prints, a line for each address.
func published(out string) (string, error) {
	first, _, _ := strings.Cut(out, "\n")
	if _, _, err := net.SplitHostPort(strings.TrimSpace(first)); err != nil {
		return "", fmt.Errorf("docker port printed %q: %w", out, err)
	}
	return strings.TrimSpace(first), nil
}

func removeContainer(ctx context.Context, id string) error {
	_, err := dockerRun(ctx, "rm", "--force", "--volumes", id)
	return err
}

// dockerRun runs the docker client and returns what it printed. Its arguments
// may hold a password: they are not part of an error.
func dockerRun(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "docker", args...)
	cmd.WaitDelay = 5 * time.Second
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("docker %s: %w: %s", args[0], err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimSpace(string(out)), nil
}
