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
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/ackbox/ackbox/internal/testenv/management"
)

// RabbitMQOptions says where a RabbitMQ node lives. Every field may be left
// empty.
type RabbitMQOptions struct {
	// Bin is the folder of RabbitMQ's own scripts; default: FindRabbitMQ.
	Bin string `json:"bin"`
	// Dir holds the node's data, configuration and log; default: a new
	// temporary folder.
	Dir string `json:"dir"`
	// Port is for AMQP, ManagementPort for HTTP, DistPort and EpmdPort for
	// Erlang (rabbitmqctl); default: free ones.
	Port           int `json:"port"`
	ManagementPort int `json:"management_port"`
	DistPort       int `json:"dist_port"`
	EpmdPort       int `json:"epmd_port"`
	// Password of its administrator "ackbox"; default: a random one.
	Password string `json:"password"`
	// Config holds lines for rabbitmq.conf; they win over ours. Start reads it,
	// so it may be changed between Stop and Start.
	Config []string `json:"config,omitempty"`
	// TLS, if set, has the node speak TLS, too. Start reads its files and copies
	// them, so they may be changed between Stop and Start.
	TLS *RabbitMQTLS `json:"tls,omitempty"`
	// Cookie is what Erlang nodes know each other by; default: one that the node
	// makes for itself.
	Cookie string `json:"cookie,omitempty"`
	// SharedEpmd says that somebody else runs the port mapper at EpmdPort.
	SharedEpmd bool `json:"shared_epmd,omitempty"`
	// Launched, if set, is called by Start when a process runs and does not
	// answer yet: the moment to record its id, in case nobody lives to stop it.
	Launched func() error `json:"-"`
}

// RabbitMQ is a RabbitMQ node. Make it with NewRabbitMQ.
type RabbitMQ struct {
	Options RabbitMQOptions `json:"options"`
	Process Process         `json:"process"`
	// Epmd is Erlang's port mapper, one for this node alone.
	Epmd Process `json:"epmd"`
}

const (
	rabbitUser = "ackbox"
	// rabbitStart, rabbitStop and rabbitCtl bound a start, a stop and a call of
	// rabbitmqctl, on a machine that is busy with other things.
	rabbitStart = 120 * time.Second
	rabbitStop  = 30 * time.Second
	rabbitCtl   = 60 * time.Second
)

// NewRabbitMQ fills the options' defaults and makes the folder. It starts
// nothing.
func NewRabbitMQ(o RabbitMQOptions) (*RabbitMQ, error) {
	var err error
	if o.Bin == "" {
		if o.Bin, err = FindRabbitMQ(); err != nil {
			return nil, fmt.Errorf("RabbitMQ: %w", err)
		}
	}
	if o.Dir, err = makeDir(o.Dir, "rabbitmq", nil); err != nil {
		return nil, err
	}
	if o.Password == "" {
		o.Password = secret()
	}
	ports := []*int{&o.Port, &o.ManagementPort, &o.DistPort, &o.EpmdPort}
	if o.TLS != nil {
		own := *o.TLS // the caller's stays as it is
		o.TLS = &own
		ports = append(ports, &own.Port)
	}
	if err := fillPorts(ports...); err != nil {
		return nil, err
	}
	return &RabbitMQ{Options: o}, nil
}

// URL is the AMQP address of the vhost "/", with the administrator's password.
func (n *RabbitMQ) URL() string { return n.address("amqp", n.Options.Port) + "/" }

// TLSURL is like URL, by amqps. It is "" where the node does not speak TLS.
func (n *RabbitMQ) TLSURL() string {
	if n.Options.TLS == nil {
		return ""
	}
	return n.address("amqps", n.Options.TLS.Port) + "/"
}

// API is the address of the management API, with the administrator's password.
func (n *RabbitMQ) API() string { return n.address("http", n.Options.ManagementPort) }

func (n *RabbitMQ) address(scheme string, port int) string {
	u := url.URL{
		Scheme: scheme, User: url.UserPassword(rabbitUser, n.Options.Password),
		Host: net.JoinHostPort(Host, strconv.Itoa(port)),
	}
	return u.String()
}

// Log is the file that the node writes to.
func (n *RabbitMQ) Log() string { return filepath.Join(n.Options.Dir, "server.log") }

// Name is the node's name among Erlang's.
func (n *RabbitMQ) Name() string { return "ackbox" + strconv.Itoa(n.Options.Port) + "@localhost" }

// PID is the process id of the Erlang machine, or 0 before the first Start.
func (n *RabbitMQ) PID() int { return n.Process.ID }

// Start starts the node, on the data it has or on none, and waits until AMQP
// and the management API answer. A node that runs already is left as it is.
func (n *RabbitMQ) Start(ctx context.Context) error {
	if n.Process.Alive() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, rabbitStart)
	defer cancel()
	if err := n.configure(); err != nil {
		return fmt.Errorf("RabbitMQ: write its configuration: %w", err)
	}
	err := n.launchAndWait(ctx)
	if err == nil {
		return nil
	}
	err = withLog(fmt.Errorf("RabbitMQ does not start: %w", err), n.Log())
	return errors.Join(err, n.Stop(context.WithoutCancel(ctx)))
}

func (n *RabbitMQ) launchAndWait(ctx context.Context) (err error) {
	if !n.Options.SharedEpmd && !n.Epmd.Alive() {
		if n.Epmd, err = launchEpmd(n.Options.EpmdPort, n.Options.Dir, n.Log()); err != nil {
			return err
		}
	}
	if err := launched(n.Options.Launched); err != nil {
		return err
	}
	if err := Until(ctx, func(ctx context.Context) error {
		return dial(ctx, net.JoinHostPort(Host, strconv.Itoa(n.Options.EpmdPort)))
	}); err != nil {
		return fmt.Errorf("epmd: %w", err)
	}
	n.Process, err = launch(command{
		path: filepath.Join(n.Options.Bin, "rabbitmq-server"), env: n.env(), dir: n.Options.Dir, log: n.Log(),
	})
	if err != nil {
		return err
	}
	if err := launched(n.Options.Launched); err != nil {
		return err
	}
	return n.Process.answers(ctx, func(ctx context.Context) error {
		if t := n.Options.TLS; t != nil {
			if err := dial(ctx, net.JoinHostPort(Host, strconv.Itoa(t.Port))); err != nil {
				return fmt.Errorf("TLS: %w", err)
			}
		}
		return PingRabbitMQ(ctx, n.URL(), n.API())
	})
}

// launchEpmd starts Erlang's port mapper.
func launchEpmd(port int, dir, log string) (Process, error) {
	bin, err := epmdSearch.find(os.Getenv("PATH"))
	if err != nil {
		return Process{}, fmt.Errorf("epmd, a part of Erlang: %w", err)
	}
	return launch(command{
		path: filepath.Join(bin, "epmd"), env: bareEnv(), dir: dir, log: log,
		args: []string{"-address", Host, "-port", strconv.Itoa(port)},
	})
}

// Ctl runs rabbitmqctl against this node and returns what it printed.
func (n *RabbitMQ) Ctl(ctx context.Context, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, rabbitCtl)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(n.Options.Bin, "rabbitmqctl"), args...)
	cmd.Env, cmd.Dir, cmd.WaitDelay = n.env(), n.Options.Dir, 5*time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("rabbitmqctl %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return string(out), nil
}

// Sync makes the node write down what it holds back, so that a Kill at once
// afterwards costs nothing that was confirmed. RabbitMQ 3.10 keeps two things in
// memory for a while: declarations (Mnesia's log), and which files belong to
// which quorum queue (a table of Ra that is saved every three minutes; without
// its entry a queue comes back empty, confirmed messages and all).
func (n *RabbitMQ) Sync(ctx context.Context) error {
	_, err := n.Ctl(ctx, "eval", "ok = mnesia:sync_log(), [ok = dets:sync(T) || T <- dets:all()], ok.")
	return err
}

// Stop shuts the node down, by force if it takes too long, and waits until it
// is gone, with its epmd.
func (n *RabbitMQ) Stop(ctx context.Context) error {
	return errors.Join(
		n.Process.stop(ctx, syscall.SIGTERM, rabbitStop),
		n.Epmd.stop(ctx, syscall.SIGTERM, 5*time.Second),
	)
}

// Kill ends the node with SIGKILL and waits until it is gone; its epmd stays
// for the next Start, or for Stop. What that costs, and how not to pay it: Sync.
func (n *RabbitMQ) Kill(ctx context.Context) error { return n.Process.kill(ctx) }

// Freeze stops the node with SIGSTOP: connections stay open, and nobody
// answers.
func (n *RabbitMQ) Freeze() error { return n.Process.freeze() }

// Thaw undoes Freeze.
func (n *RabbitMQ) Thaw() error { return n.Process.thaw() }

// Wipe deletes the data of a node that is not running: its queues, users,
// vhosts and messages. The next Start makes the administrator again.
func (n *RabbitMQ) Wipe() error {
	if n.Process.Alive() {
		return errors.New("RabbitMQ: stop the node before its data is wiped")
	}
	return os.RemoveAll(n.data())
}

// Remove deletes the folder of a node that is not running.
func (n *RabbitMQ) Remove() error {
	if n.Process.Alive() || n.Epmd.Alive() {
		return errors.New("RabbitMQ: stop the node before its folder is removed")
	}
	return os.RemoveAll(n.Options.Dir)
}

// PingRabbitMQ asks a RabbitMQ server whether it takes connections and whether
// its management API accepts the user in its URL.
func PingRabbitMQ(ctx context.Context, amqp, api string) error {
	u, err := url.Parse(amqp)
	if err != nil || u.Hostname() == "" {
		return errors.New("the AMQP address is no URL with a host") // it may hold a password
	}
	port := cmp.Or(u.Port(), map[string]string{"amqp": "5672", "amqps": "5671"}[u.Scheme])
	client, err := management.New(api)
	if err != nil {
		return err
	}
	return errors.Join(dial(ctx, net.JoinHostPort(u.Hostname(), port)), client.Ping(ctx))
}

// dial reports whether somebody listens at an address.
func dial(ctx context.Context, address string) error {
	d := net.Dialer{Timeout: 5 * time.Second}
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return conn.Close()
}
