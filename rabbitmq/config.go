package rabbitmq

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/ackbox/ackbox"
)

// Config says how to reach the broker and what to promise. Only URL, or URLs, is
// required: every other zero value means the default. A value that makes no
// sense is an error of [New], never silently replaced.
type Config struct {
	// URL is an AMQP URI, amqp://user:password@host:port/vhost, or amqps:// for
	// TLS. Percent-encode reserved characters. Its query parameters are those of
	// RabbitMQ's URI specification (heartbeat, auth_mechanism, cacertfile, ...).
	URL string
	// URLs, instead of URL, are the addresses of several nodes of one broker, up
	// to 32, all with the same scheme and vhost. A connection takes them in turn,
	// in an order that each process draws for itself: when its node goes away the
	// next one is tried at once, and only when all have failed there is a pause
	// (MinBackoff, MaxBackoff). A node that does not answer costs DialTimeout.
	// There is no way back to a node because it is up again: connections spread
	// anew when they are lost. The names that amqps verifies are those in the URLs.
	URLs []string
	// Name is shown by the broker beside the connections, followed by "publish",
	// "consume" or "control": up to 200 bytes of printable UTF-8. Default "ackbox
	// <hostname> <pid>".
	Name string
	// TLS configures amqps: authorities, client certificates. It is cloned, and
	// an error with an amqp:// URL. Default: the system's authorities.
	TLS *tls.Config
	// Topology is declared on every new connection. Default: one quorum queue
	// named [ackbox.DefaultQueue].
	Topology ackbox.Topology
	// Passive only checks that queues and exchanges exist and declares nothing,
	// neither the topology nor retry and dead queues. Bindings and arguments
	// cannot be checked by AMQP.
	Passive bool
	// Window is how many messages one call of Publish has unconfirmed at most:
	// 1 to 65536, default 512.
	Window int
	// ConfirmTimeout bounds one call of Publish, Retry or Bury, all windows and
	// reconnecting included: default 5 s.
	ConfirmTimeout time.Duration
	// DialTimeout bounds each step of connecting (dial with handshake, declaring
	// the topology) and each call of Waiting: default 10 s.
	DialTimeout time.Duration
	// WriteTimeout bounds each write to the socket: default 5 s.
	WriteTimeout time.Duration
	// Heartbeat finds dead peers: at least 1 s, default 10 s. A heartbeat in the
	// URL takes precedence.
	Heartbeat time.Duration
	// MaxMessageBytes is the largest payload; a larger job is refused locally
	// (NackedByBroker) without harm to its neighbours. Default 16 MiB, the limit
	// of RabbitMQ 4.
	MaxMessageBytes int
	// RetryLadder lists the pauses that Retry can choose from, ascending, whole
	// milliseconds, at most 32 of them up to 24 h; each is one queue in the
	// broker per work queue that uses it. Default 1s, 5s, 30s, 2m, 10m, 1h.
	RetryLadder []time.Duration
	// MinBackoff and MaxBackoff bound the pause between two tries to connect,
	// doubled after each failure, with jitter. A refusal that only a change of
	// configuration can heal is retried at MaxBackoff. Default 100 ms and 10 s.
	MinBackoff time.Duration
	MaxBackoff time.Duration
	// Logger receives connects, losses and refusals; never payloads or
	// passwords. Default slog.Default().
	Logger *slog.Logger
}

const (
	maxWindow  = 1 << 16
	maxRungs   = 32
	maxRung    = 24 * time.Hour
	maxTimeout = time.Hour
	maxMessage = 128 << 20 // RabbitMQ 3.x's limit
)

// String shows c without its password.
func (c Config) String() string {
	target := "invalid URL"
	if t, err := parseURLs(c); err == nil {
		target = displayed(t)
	}
	return fmt.Sprintf("rabbitmq.Config{%s, %d queues, %d exchanges}", target, len(c.Topology.QueueNames()), len(c.Topology.Exchanges))
}

// GoString shows c without its password.
func (c Config) GoString() string { return c.String() }

// LogValue shows c without its password.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }

func (c Config) withDefaults() Config {
	c.Topology = c.Topology.WithDefaults()
	c.Window = cmp.Or(c.Window, 512)
	c.ConfirmTimeout = cmp.Or(c.ConfirmTimeout, 5*time.Second)
	c.DialTimeout = cmp.Or(c.DialTimeout, 10*time.Second)
	c.WriteTimeout = cmp.Or(c.WriteTimeout, 5*time.Second)
	c.Heartbeat = cmp.Or(c.Heartbeat, 10*time.Second)
	c.MaxMessageBytes = cmp.Or(c.MaxMessageBytes, 16<<20)
	// A bound that the caller set moves the other one's default, so that
	// setting only one of the two is never an error.
	if c.MinBackoff == 0 {
		c.MinBackoff = 100 * time.Millisecond
		if c.MaxBackoff > 0 {
			c.MinBackoff = min(c.MinBackoff, c.MaxBackoff)
		}
	}
	if c.MaxBackoff == 0 {
		c.MaxBackoff = max(10*time.Second, c.MinBackoff)
	}
	c.Logger = cmp.Or(c.Logger, slog.Default())
	if len(c.RetryLadder) == 0 {
		c.RetryLadder = []time.Duration{
			time.Second, 5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, time.Hour,
		}
	} else {
		c.RetryLadder = append([]time.Duration(nil), c.RetryLadder...)
	}
	if c.TLS != nil {
		// The client library writes ServerName into the value it is given.
		c.TLS = c.TLS.Clone()
	}
	if c.Name == "" {
		host, err := os.Hostname()
		if err != nil {
			host = "unknown-host"
		}
		c.Name = fmt.Sprintf("ackbox %s %d", host, os.Getpid())
	}
	return c
}

// validate reports everything that is wrong with a c that has its defaults.
func (c Config) validate(scheme string) error {
	var errs []error
	complain := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("rabbitmq: Config."+format, args...))
	}
	if c.TLS != nil && scheme != "amqps" {
		complain("TLS is set but Config.URL has the scheme amqp: want amqps")
	}
	if len(c.Name) > 200 {
		complain("Name is %d bytes long: at most 200 are allowed", len(c.Name))
	}
	if !utf8.ValidString(c.Name) || strings.ContainsFunc(c.Name, unicode.IsControl) {
		complain("Name %.100q is not valid UTF-8, or has control characters", c.Name)
	}
	if err := c.Topology.Validate(); err != nil {
		complain("Topology: %w", err)
	}
	if c.Window < 1 || c.Window > maxWindow {
		complain("Window is %d: want 1 to %d, or 0 for the default", c.Window, maxWindow)
	}
	for _, d := range []struct {
		name     string
		value    time.Duration
		min, max time.Duration
	}{
		{"ConfirmTimeout", c.ConfirmTimeout, time.Millisecond, maxTimeout},
		{"DialTimeout", c.DialTimeout, time.Millisecond, maxTimeout},
		{"WriteTimeout", c.WriteTimeout, time.Millisecond, maxTimeout},
		{"Heartbeat", c.Heartbeat, time.Second, maxTimeout},
		{"MinBackoff", c.MinBackoff, time.Millisecond, maxTimeout},
		{"MaxBackoff", c.MaxBackoff, time.Millisecond, maxTimeout},
	} {
		if d.value < d.min || d.value > d.max {
			complain("%s is %v: want %v to %v, or 0 for the default", d.name, d.value, d.min, d.max)
		}
	}
	if c.MaxBackoff < c.MinBackoff {
		complain("MaxBackoff is %v: want at least MinBackoff, %v", c.MaxBackoff, c.MinBackoff)
	}
	if c.MaxMessageBytes < 1 || c.MaxMessageBytes > maxMessage {
		complain("MaxMessageBytes is %d: want 1 to %d, or 0 for the default", c.MaxMessageBytes, maxMessage)
	}
	if len(c.RetryLadder) > maxRungs {
		complain("RetryLadder has %d rungs: at most %d are allowed", len(c.RetryLadder), maxRungs)
	}
	for i, rung := range c.RetryLadder {
		if rung < time.Millisecond || rung > maxRung || rung%time.Millisecond != 0 {
			complain("RetryLadder[%d] is %v: want whole milliseconds, 1ms to %v", i, rung, maxRung)
		}
		if i > 0 && rung <= c.RetryLadder[i-1] {
			complain("RetryLadder[%d] is %v: want more than the rung before, %v", i, rung, c.RetryLadder[i-1])
		}
	}
	return errors.Join(errs...)
}
