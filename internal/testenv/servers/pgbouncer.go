//go:build unix

package servers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// PgBouncerOptions says where a PgBouncer node lives and which PostgreSQL is
// behind it. Every field but Target may be left empty.
type PgBouncerOptions struct {
	// Bin is the folder of pgbouncer; default: FindPgBouncer.
	Bin string `json:"bin"`
	// Dir holds the node's configuration and log; default: a new temporary
	// folder. When we are root, PostgreSQL's account must be able to reach it.
	Dir string `json:"dir"`
	// Port is where it listens; default: a free one.
	Port int `json:"port"`
	// Target is the URL of the PostgreSQL server behind it, with the user and
	// the password that clients log in with here and that it logs in with there.
	Target string `json:"target"`
	// PoolSize is how many connections to the server it has at most for each
	// database (default_pool_size); default 20, PgBouncer's own.
	PoolSize int `json:"pool_size"`
	// Config holds lines for the section [pgbouncer]; they win over ours. Start
	// reads it, so it may be changed between Stop and Start.
	Config []string `json:"config,omitempty"`
	// Launched, if set, is called by Start when the process runs and does not
	// answer yet: the moment to record its id, in case nobody lives to stop it.
	Launched func() error `json:"-"`
}

// PgBouncer is a PgBouncer node in transaction mode: a client's transactions
// may each run on another connection to the server. All databases of the server
// are reached through it by their names, and its own console as "pgbouncer".
// Make it with NewPgBouncer.
type PgBouncer struct {
	Options PgBouncerOptions `json:"options"`
	Process Process          `json:"process"`
}

// bouncerStart and bouncerStop bound a start and a stop. From version 1.23 on
// SIGTERM waits for clients to leave; ours need not.
const (
	bouncerStart = 30 * time.Second
	bouncerStop  = 3 * time.Second
)

// NewPgBouncer fills the options' defaults and makes the folder. It starts
// nothing.
func NewPgBouncer(o PgBouncerOptions) (*PgBouncer, error) {
	if _, err := parseTarget(o.Target); err != nil {
		return nil, err
	}
	account, err := PostgresAccount() // PgBouncer refuses root as well
	if err != nil {
		return nil, err
	}
	if o.Bin == "" {
		if o.Bin, err = FindPgBouncer(); err != nil {
			return nil, fmt.Errorf("PgBouncer: %w", err)
		}
	}
	if o.Dir, err = makeDir(o.Dir, "pgbouncer", account); err != nil {
		return nil, err
	}
	o.PoolSize = cmp.Or(o.PoolSize, 20)
	if err := fillPorts(&o.Port); err != nil {
		return nil, err
	}
	return &PgBouncer{Options: o}, nil
}

func parseTarget(target string) (*url.URL, error) {
	u, err := url.Parse(target)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" || u.Hostname() == "" || u.User.Username() == "" {
		// The URL itself may hold a password: it is not shown.
		return nil, errors.New("PgBouncer: Target must look like postgres://user:password@host:5432/postgres")
	}
	return u, nil
}

// URL is the address of a database of the server, through the node, with the
// user and password of Target. "" means Target's own database.
func (n *PgBouncer) URL(database string) string {
	target, err := parseTarget(n.Options.Target)
	if err != nil {
		return "" // NewPgBouncer has refused it
	}
	u := url.URL{
		Scheme: "postgres", User: target.User, Host: n.address(),
		Path: "/" + cmp.Or(database, strings.TrimPrefix(target.Path, "/")), RawQuery: "sslmode=disable",
	}
	return u.String()
}

func (n *PgBouncer) address() string { return net.JoinHostPort(Host, strconv.Itoa(n.Options.Port)) }

// Log is the file that the node writes to.
func (n *PgBouncer) Log() string { return n.file("server.log") }

func (n *PgBouncer) file(name string) string { return filepath.Join(n.Options.Dir, name) }

// PID is the process id, or 0 before the first Start.
func (n *PgBouncer) PID() int { return n.Process.ID }

// Start starts the node and waits until it listens; the server behind it need
// not be up. A node that runs already is left as it is.
func (n *PgBouncer) Start(ctx context.Context) error {
	if n.Process.Alive() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, bouncerStart)
	defer cancel()
	account, err := PostgresAccount()
	if err != nil {
		return err
	}
	if err := n.configure(account); err != nil {
		return fmt.Errorf("PgBouncer: write its configuration: %w", err)
	}
	err = n.launchAndWait(ctx, account)
	if err == nil {
		return nil
	}
	err = withLog(fmt.Errorf("PgBouncer does not start: %w", err), n.Log())
	return errors.Join(err, n.Stop(context.WithoutCancel(ctx)))
}

func (n *PgBouncer) launchAndWait(ctx context.Context, account *Account) (err error) {
	n.Process, err = launch(command{
		path: filepath.Join(n.Options.Bin, "pgbouncer"), args: []string{n.file("pgbouncer.ini")}, env: bareEnv(),
		dir: n.Options.Dir, log: n.Log(), user: account,
	})
	if err != nil {
		return err
	}
	if err := launched(n.Options.Launched); err != nil {
		return err
	}
	return n.Process.answers(ctx, func(ctx context.Context) error { return dial(ctx, n.address()) })
}

// configure writes the files that the node reads when it starts.
func (n *PgBouncer) configure(account *Account) error {
	target, err := parseTarget(n.Options.Target)
	if err != nil {
		return err
	}
	password, _ := target.User.Password()
	files := map[string]string{
		"pgbouncer.ini": n.ini(target),
		"userlist.txt":  quoted(target.User.Username()) + " " + quoted(password) + "\n",
	}
	for name, text := range files {
		if err := os.WriteFile(n.file(name), []byte(text), 0o600); err != nil {
			return err
		}
		if err := account.own(n.file(name)); err != nil {
			return err
		}
	}
	return nil
}

func (n *PgBouncer) ini(target *url.URL) string {
	lines := slices.Concat([]string{
		"[databases]",
		"* = host=" + target.Hostname() + " port=" + cmp.Or(target.Port(), "5432"),
		"[pgbouncer]",
		"listen_addr = " + Host,
		"listen_port = " + strconv.Itoa(n.Options.Port),
		// No socket file: its path may be too long, and TCP is what we test.
		"unix_socket_dir =",
		"auth_type = scram-sha-256",
		"auth_file = " + n.file("userlist.txt"),
		"admin_users = " + target.User.Username(),
		"pool_mode = transaction",
		"default_pool_size = " + strconv.Itoa(n.Options.PoolSize),
		"max_client_conn = 1000",
	}, serverTLS(target), n.Options.Config)
	return strings.Join(lines, "\n") + "\n"
}

// serverTLS is how the node speaks to a server whose URL says more than nothing
// about TLS.
func serverTLS(target *url.URL) (lines []string) {
	if mode := target.Query().Get("sslmode"); mode != "" {
		lines = append(lines, "server_tls_sslmode = "+mode)
	}
	if ca := target.Query().Get("sslrootcert"); ca != "" {
		lines = append(lines, "server_tls_ca_file = "+ca)
	}
	return lines
}

// quoted is text for PgBouncer's list of users.
func quoted(text string) string { return `"` + strings.ReplaceAll(text, `"`, `""`) + `"` }

// Stop ends the node, by force if it takes too long, and waits until it is
// gone.
func (n *PgBouncer) Stop(ctx context.Context) error {
	return n.Process.stop(ctx, syscall.SIGTERM, bouncerStop)
}

// Kill ends the node with SIGKILL and waits until it is gone.
func (n *PgBouncer) Kill(ctx context.Context) error { return n.Process.kill(ctx) }

// Freeze stops the node with SIGSTOP: connections stay open, and nobody
// answers.
func (n *PgBouncer) Freeze() error { return n.Process.freeze() }

// Thaw undoes Freeze.
func (n *PgBouncer) Thaw() error { return n.Process.thaw() }

// Remove deletes the folder of a node that is not running.
func (n *PgBouncer) Remove() error {
	if n.Process.Alive() {
		return errors.New("PgBouncer: stop the node before its folder is removed")
	}
	return os.RemoveAll(n.Options.Dir)
}
