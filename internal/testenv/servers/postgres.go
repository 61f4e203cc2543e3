//go:build unix

package servers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
)

// PostgresOptions says where a PostgreSQL node lives. Every field may be left
// empty.
type PostgresOptions struct {
	// Bin is the folder of initdb and postgres; default: FindPostgres.
	Bin string `json:"bin"`
	// Dir holds the node's data and log; default: a new temporary folder. When
	// we are root, the account that PostgreSQL runs as must be able to reach it.
	Dir string `json:"dir"`
	// Port is where it listens; default: a free one.
	Port int `json:"port"`
	// Password of its superuser "postgres"; default: a random one.
	Password string `json:"password"`
	// Config holds lines for postgresql.conf; they win over ours.
	Config []string `json:"config,omitempty"`
	// TLS, if set, has the node speak TLS. Start reads its files and copies
	// them, so they may be changed between Stop and Start.
	TLS *PostgresTLS `json:"tls,omitempty"`
	// Launched, if set, is called by Start when a process runs and does not
	// answer yet: the moment to record its id, in case nobody lives to stop it.
	Launched func() error `json:"-"`
}

// Postgres is a PostgreSQL node. Make it with NewPostgres.
type Postgres struct {
	Options PostgresOptions `json:"options"`
	Process Process         `json:"process"`
}

// postgresStart and postgresStop bound a start and a stop; recovery after a
// kill is part of a start.
const (
	postgresStart = 60 * time.Second
	postgresStop  = 20 * time.Second
)

// NewPostgres fills the options' defaults and makes the folder. It starts
// nothing.
func NewPostgres(o PostgresOptions) (*Postgres, error) {
	account, err := PostgresAccount()
	if err != nil {
		return nil, err
	}
	if o.Bin == "" {
		if o.Bin, err = FindPostgres(); err != nil {
			return nil, fmt.Errorf("PostgreSQL: %w", err)
		}
	}
	if o.Dir, err = makeDir(o.Dir, "postgres", account); err != nil {
		return nil, err
	}
	if o.Password == "" {
		o.Password = secret()
	}
	if err := fillPorts(&o.Port); err != nil {
		return nil, err
	}
	return &Postgres{Options: o}, nil
}

// URL is the address of the node's database "postgres", with the superuser's
// password. Where the node speaks TLS its certificate is verified.
func (n *Postgres) URL() string {
	query := url.Values{"sslmode": {"disable"}}
	if n.Options.TLS != nil {
		query = url.Values{"sslmode": {"verify-full"}, "sslrootcert": {adopted(n.Options.Dir).CA}}
	}
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword("postgres", n.Options.Password),
		Host: net.JoinHostPort(Host, strconv.Itoa(n.Options.Port)),
		Path: "/postgres", RawQuery: query.Encode(),
	}
	return u.String()
}

// Log is the file that the node writes to.
func (n *Postgres) Log() string { return filepath.Join(n.Options.Dir, "server.log") }

// PID is the process id of the postmaster, or 0 before the first Start.
func (n *Postgres) PID() int { return n.Process.ID }

// Start starts the node, on the data it has or on a new cluster, and waits
// until it answers. A node that runs already is left as it is.
func (n *Postgres) Start(ctx context.Context) error {
	if n.Process.Alive() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, postgresStart)
	defer cancel()
	account, err := PostgresAccount()
	if err != nil {
		return err
	}
	if err := n.initialize(ctx, account); err != nil {
		return fmt.Errorf("PostgreSQL: make a cluster in %s: %w", n.Options.Dir, err)
	}
	err = n.launchAndWait(ctx, account)
	if err == nil {
		return nil
	}
	err = withLog(fmt.Errorf("PostgreSQL does not start: %w", err), n.Log())
	return errors.Join(err, n.Stop(context.WithoutCancel(ctx)))
}

func (n *Postgres) launchAndWait(ctx context.Context, account *Account) error {
	secure, err := n.tlsSettings(account)
	if err != nil {
		return err
	}
	n.Process, err = launch(command{
		path: filepath.Join(n.Options.Bin, "postgres"), args: n.args(secure), env: bareEnv(),
		dir: n.Options.Dir, log: n.Log(), user: account,
	})
	if err != nil {
		return err
	}
	if err := launched(n.Options.Launched); err != nil {
		return err
	}
	return n.Process.answers(ctx, func(ctx context.Context) error { return PingPostgres(ctx, n.URL()) })
}

// args sets what the node must have and what Config may override.
func (n *Postgres) args(secure []string) []string {
	settings := slices.Concat([]string{
		"listen_addresses=" + Host,
		"port=" + strconv.Itoa(n.Options.Port),
		// No socket file: its path may be too long, and TCP is what we test.
		"unix_socket_directories=",
		"max_connections=200",
		// Durability is what the tests are about.
		"fsync=on", "synchronous_commit=on", "full_page_writes=on",
		"logging_collector=off", "log_line_prefix=%m [%p] %d ",
	}, secure, n.Options.Config)
	args := []string{"-D", n.data()}
	for _, s := range settings {
		args = append(args, "-c", s)
	}
	return args
}

func (n *Postgres) data() string { return filepath.Join(n.Options.Dir, "data") }

// initialize makes a cluster unless there is one. It is made under another
// name first: an interrupted initdb must not be taken for a cluster.
func (n *Postgres) initialize(ctx context.Context, account *Account) error {
	if _, err := os.Stat(n.data()); err == nil {
		return nil
	}
	fresh := n.data() + ".new"
	if err := os.RemoveAll(fresh); err != nil {
		return err
	}
	pwfile := filepath.Join(n.Options.Dir, "password")
	if err := os.WriteFile(pwfile, []byte(n.Options.Password+"\n"), 0o600); err != nil {
		return err
	}
	if err := account.own(pwfile); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, filepath.Join(n.Options.Bin, "initdb"),
		"-D", fresh, "--username=postgres", "--pwfile="+pwfile, "--auth=scram-sha-256",
		"--encoding=UTF8", "--locale=C", "--no-sync")
	cmd.Env, cmd.Dir, cmd.WaitDelay = bareEnv(), n.Options.Dir, 5*time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: account.credential()}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, strings.TrimSpace(string(out)))
	}
	return errors.Join(os.Remove(pwfile), os.Rename(fresh, n.data()))
}

// Stop shuts the node down, by force if it takes too long, and waits until it
// is gone.
func (n *Postgres) Stop(ctx context.Context) error {
	// SIGINT is PostgreSQL's fast shutdown: sessions are cut, data is flushed.
	return n.Process.stop(ctx, syscall.SIGINT, postgresStop)
}

// Kill ends the node and all its sessions with SIGKILL and waits until they
// are gone. Start brings it back through recovery.
func (n *Postgres) Kill(ctx context.Context) error { return n.Process.kill(ctx) }

// Freeze stops the node and its sessions with SIGSTOP: connections stay open,
// and nobody answers.
func (n *Postgres) Freeze() error { return n.Process.freeze() }

// Thaw undoes Freeze.
func (n *Postgres) Thaw() error { return n.Process.thaw() }

// Wipe deletes the data of a node that is not running.
func (n *Postgres) Wipe() error {
	if n.Process.Alive() {
		return errors.New("PostgreSQL: stop the node before its data is wiped")
	}
	return os.RemoveAll(n.data())
}

// Remove deletes the folder of a node that is not running.
func (n *Postgres) Remove() error {
	if n.Process.Alive() {
		return errors.New("PostgreSQL: stop the node before its folder is removed")
	}
	return os.RemoveAll(n.Options.Dir)
}

// PingPostgres asks a PostgreSQL server whether it takes commands.
func PingPostgres(ctx context.Context, dsn string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	_, err := ask[int](ctx, dsn, "SELECT 1")
	return err
}

// ask runs a statement in a session of its own and returns its one value, if it
// has one. It prepares nothing: behind PgBouncer the next session may be the same.
func ask[T any](ctx context.Context, dsn, statement string) (value T, err error) {
	db, err := gorm.Open(postgres.New(postgres.Config{DSN: dsn, PreferSimpleProtocol: true}), &gorm.Config{
		Logger: logger.Discard, DisableAutomaticPing: true,
	})
	if err != nil {
		return value, err
	}
	pool, err := db.DB()
	if err != nil {
		return value, err
	}
	defer func() { err = errors.Join(err, pool.Close()) }()
	if err := db.WithContext(ctx).Raw(statement).Scan(&value).Error; err != nil {
		return value, fmt.Errorf("PostgreSQL: %s: %w", statement, err)
	}
	return value, nil
}

// bareEnv is an environment without the PG*, RABBITMQ_* and ERL_* variables of
// whoever runs the tests.
func bareEnv(more ...string) []string {
	env := []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8"}
	if tmp := os.Getenv("TMPDIR"); tmp != "" {
		env = append(env, "TMPDIR="+tmp)
	}
	return append(env, more...)
}
