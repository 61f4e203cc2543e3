//go:build unix

package services

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/ackbox/ackbox/internal/testenv/servers"
)

// state is what runs for Up or for one Run, as saved in its folder.
type state struct {
	// Owner is the process of the Run that it is for; Up leaves it empty.
	Owner    servers.Process `json:"owner"`
	Postgres instance        `json:"postgres"`
	RabbitMQ instance        `json:"rabbitmq"`
}

// instance is one server. At most one of its last three fields is set; none is
// for a server from the environment, which is not ours to stop.
type instance struct {
	Source sourceKind `json:"source"`
	URL    string     `json:"url"`
	API    string     `json:"api,omitempty"` // RabbitMQ only

	PostgresNode *servers.Postgres `json:"postgres_node,omitempty"`
	RabbitNode   *servers.RabbitMQ `json:"rabbitmq_node,omitempty"`
	Container    string            `json:"container,omitempty"`
}

// record saves a state while both servers are being started at once.
type record struct {
	dir   string
	mu    sync.Mutex
	state state
}

func newState(dir string, owner servers.Process) *record {
	return &record{dir: dir, state: state{Owner: owner}}
}

// update changes the state and saves it.
func (r *record) update(change func(*state)) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(&r.state)
	raw, err := json.MarshalIndent(r.state, "", "  ")
	if err != nil {
		return fmt.Errorf("save the state: %w", err)
	}
	// Renamed into place: a reader sees the old one or the new one.
	file := stateFile(r.dir)
	if err := os.WriteFile(file+".new", raw, 0o600); err != nil {
		return fmt.Errorf("save the state: %w", err)
	}
	return os.Rename(file+".new", file)
}

func (r *record) current() state {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state
}

func stateFile(dir string) string { return filepath.Join(dir, "state.json") }

// load reads the state saved in dir; a missing one is os.ErrNotExist.
func load(dir string) (state, error) {
	raw, err := os.ReadFile(stateFile(dir))
	if err != nil {
		return state{}, err
	}
	var s state
	if err := json.Unmarshal(raw, &s); err != nil {
		return state{}, fmt.Errorf("%s: %w", stateFile(dir), err)
	}
	return s, nil
}

func (s state) urls() URLs {
	return URLs{Database: s.Postgres.URL, AMQP: s.RabbitMQ.URL, API: s.RabbitMQ.API}
}

// usable reports whether both servers answer and are the ones that the
// environment, if it names any, asks for.
func (s state) usable(ctx context.Context) error {
	env, err := fromEnvironment(os.Getenv)
	if err != nil {
		return err
	}
	if env.Database != "" && env.Database != s.Postgres.URL || env.AMQP != "" && env.AMQP != s.RabbitMQ.URL {
		return errors.New("the environment names other servers")
	}
	return errors.Join(
		servers.PingPostgres(ctx, s.Postgres.URL),
		servers.PingRabbitMQ(ctx, s.RabbitMQ.URL, s.RabbitMQ.API),
	)
}
