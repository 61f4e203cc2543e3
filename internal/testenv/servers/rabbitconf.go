//go:build unix

package servers

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

func (n *RabbitMQ) data() string { return filepath.Join(n.Options.Dir, "mnesia") }

func (n *RabbitMQ) file(name string) string { return filepath.Join(n.Options.Dir, name) }

// configure writes the files that the node reads when it starts.
func (n *RabbitMQ) configure() error {
	secure, err := n.tlsConf()
	if err != nil {
		return err
	}
	files := map[string]string{
		"rabbitmq.conf":   n.conf(secure),
		"enabled_plugins": "[rabbitmq_management].\n",
		// Instead of the machine's own, which must not reach this node.
		"rabbitmq-env.conf": "",
		"advanced.config":   "[].\n",
	}
	for name, text := range files {
		if err := os.WriteFile(n.file(name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return n.writeCookie()
}

// writeCookie puts Cookie where Erlang looks for it, unless it is there.
func (n *RabbitMQ) writeCookie() error {
	file := n.file(".erlang.cookie")
	if n.Options.Cookie == "" {
		return nil
	}
	if _, err := os.Stat(file); err == nil {
		return nil
	}
	return os.WriteFile(file, []byte(n.Options.Cookie), 0o400)
}

func (n *RabbitMQ) conf(secure []string) string {
	lines := slices.Concat([]string{
		"listeners.tcp.local = " + Host + ":" + strconv.Itoa(n.Options.Port),
		"management.tcp.ip = " + Host,
		"management.tcp.port = " + strconv.Itoa(n.Options.ManagementPort),
		"default_user = " + rabbitUser,
		"default_pass = " + n.Options.Password,
		// Counts in the management API lag by this much; 5 s would slow tests.
		"collect_statistics_interval = 500",
		// A full disk elsewhere on a developer's machine is no reason to block.
		"disk_free_limit.absolute = 50MB",
	}, secure, n.Options.Config)
	return strings.Join(lines, "\n") + "\n"
}

// env is the environment of the node and of rabbitmqctl.
func (n *RabbitMQ) env() []string {
	const loopback = "-kernel inet_dist_use_interface {127,0,0,1}"
	return bareEnv(
		"HOME="+n.Options.Dir, // the Erlang cookie
		"ERL_EPMD_PORT="+strconv.Itoa(n.Options.EpmdPort),
		"ERL_EPMD_ADDRESS="+Host,
		"RABBITMQ_NODENAME="+n.Name(),
		"RABBITMQ_NODE_PORT="+strconv.Itoa(n.Options.Port),
		"RABBITMQ_DIST_PORT="+strconv.Itoa(n.Options.DistPort),
		"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="+loopback,
		"RABBITMQ_CTL_ERL_ARGS="+loopback,
		"RABBITMQ_MNESIA_BASE="+n.data(),
		"RABBITMQ_LOG_BASE="+n.file("log"),
		"RABBITMQ_LOGS=-", // stdout, which is Log
		"RABBITMQ_ENABLED_PLUGINS_FILE="+n.file("enabled_plugins"),
		"RABBITMQ_CONFIG_FILE="+n.file("rabbitmq.conf"),
		"RABBITMQ_ADVANCED_CONFIG_FILE="+n.file("advanced.config"),
		"RABBITMQ_CONF_ENV_FILE="+n.file("rabbitmq-env.conf"),
		// Makes the script become the node instead of its parent, so that the
		// process we started is the one to signal.
		"RUNNING_UNDER_SYSTEMD=true",
	)
}
